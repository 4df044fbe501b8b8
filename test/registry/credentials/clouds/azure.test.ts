/** Against hosts of our own that speak as Entra ID, the metadata service and a registry of Azure do. */
import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import { SignJWT } from "jose";
import { azureIdentities } from "../../../../src/registry/credentials/clouds/azure.ts";
import { temporaryDirectory } from "../../../support/temp.ts";
import { failureOf, newSend, startHost, type TestHost } from "../../fixtures.ts";

const registry = "team.azurecr.io";

/** A registry that exchanges the Entra token `entra` for an identity token that lives an hour. */
function startRegistry(): TestHost & { readonly forms: Record<string, string>[] } {
  const forms: Record<string, string>[] = [];
  const host = startHost(async (request, url) => {
    const form = Object.fromEntries(new URLSearchParams(await request.text()));
    forms.push(form);
    if (url.pathname !== "/oauth2/exchange" || form["access_token"] !== "entra") {
      const errors = [{ code: "UNAUTHORIZED", message: `${form["access_token"]} is no good` }];
      return Response.json({ errors }, { status: 401 });
    }
    const refresh_token = await new SignJWT({ grant_type: "refresh_token" })
      .setProtectedHeader({ alg: "HS256" })
      .setExpirationTime("1h")
      .sign(new Uint8Array(32));
    return Response.json({ refresh_token });
  });
  return { ...host, forms };
}

/** What the first identity that the environment offers gives. */
async function ask(env: Record<string, string>, origin: string) {
  const context = { env, send: newSend(), originOf: () => origin };
  for (const identity of azureIdentities(registry, context)) {
    const found = await identity.ask();
    if (typeof found !== "string") return { ...found, source: identity.name };
  }
  throw new Error("no identity");
}

describe("an identity token of an Azure registry", () => {
  test("is bought as the workload identity of a pod", async () => {
    const forms: Record<string, string>[] = [];
    const entra = startHost(async (request) => {
      forms.push(Object.fromEntries(new URLSearchParams(await request.text())));
      return Response.json({ token_type: "Bearer", expires_in: 3599, access_token: "entra" });
    });
    const host = startRegistry();
    const file = join(temporaryDirectory(), "token");
    await Bun.write(file, "federated\n");
    const env = {
      AZURE_CLIENT_ID: "client",
      AZURE_TENANT_ID: "tenant",
      AZURE_FEDERATED_TOKEN_FILE: file,
      AZURE_AUTHORITY_HOST: `http://${entra.host}/`,
    };
    const { value, lifetime = 0, source } = await ask(env, `http://${host.host}`);
    expect(value).toEqual({ kind: "identity", token: expect.stringMatching(/^eyJ/) as never });
    expect(lifetime / 60_000).toBeCloseTo(60, 0);
    expect(source).toBe("AZURE_FEDERATED_TOKEN_FILE");
    expect(entra.requests).toEqual(["POST /tenant/oauth2/v2.0/token"]);
    expect(forms).toEqual([
      {
        grant_type: "client_credentials",
        client_id: "client",
        client_assertion_type: "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
        client_assertion: "federated",
        scope: "https://containerregistry.azure.net/.default",
      },
    ]);
    expect(host.forms).toEqual([
      { grant_type: "access_token", service: registry, tenant: "tenant", access_token: "entra" },
    ]);
  });

  test("is bought as the managed identity of a machine", async () => {
    const metadata = startHost((request) =>
      request.headers.get("metadata") === "true"
        ? Response.json({ access_token: "entra", expires_in: "86399", token_type: "Bearer" })
        : Response.json({ error: "bad_request" }, { status: 400 }),
    );
    const host = startRegistry();
    const endpoint = { AZURE_POD_IDENTITY_AUTHORITY_HOST: `http://${metadata.host}` };
    const { value, source } = await ask(
      { ...endpoint, AZURE_CLIENT_ID: "mine" },
      `http://${host.host}`,
    );
    expect(value.kind).toBe("identity");
    expect(source).toBe("the managed identity of this Azure machine");
    expect(metadata.requests).toEqual([
      "GET /metadata/identity/oauth2/token?api-version=2018-02-01&resource=https%3A%2F%2Fcontainerregistry.azure.net&client_id=mine",
    ]);
    expect(host.forms).toEqual([
      { grant_type: "access_token", service: registry, access_token: "entra" },
    ]);
  });

  test("is bought as the managed identity of a container app", async () => {
    const agent = startHost((request) =>
      request.headers.get("x-identity-header") === "code"
        ? Response.json({ access_token: "entra", expires_on: "1893456000" })
        : new Response(null, { status: 401 }),
    );
    const env = { IDENTITY_ENDPOINT: `http://${agent.host}/msi/token`, IDENTITY_HEADER: "code" };
    const { value, source } = await ask(env, `http://${startRegistry().host}`);
    expect(value.kind).toBe("identity");
    expect(source).toBe("IDENTITY_ENDPOINT");
    expect(agent.requests).toEqual([
      "GET /msi/token?api-version=2019-08-01&resource=https%3A%2F%2Fcontainerregistry.azure.net",
    ]);
  });

  test("that the registry refuses is a failure without the token", async () => {
    const agent = startHost(() => Response.json({ access_token: "an.entra.secret" }));
    const env = { IDENTITY_ENDPOINT: `http://${agent.host}/`, IDENTITY_HEADER: "code" };
    const failure = await failureOf(ask(env, `http://${startRegistry().host}`));
    expect(failure.kind).toBe("unauthorized");
    expect(failure.message).toContain(`can't get credentials for ${registry}: 127.0.0.1`);
    expect(failure.message).toEndWith("answered 401 UNAUTHORIZED");
    expect(failure.message).not.toContain("secret");
  });

  test("isn't bought over plain HTTP", async () => {
    const agent = startHost(() => Response.json({ access_token: "entra" }));
    const env = { IDENTITY_ENDPOINT: `http://${agent.host}/`, IDENTITY_HEADER: "code" };
    const failure = await failureOf(ask(env, `http://${registry}`));
    expect(failure.message).toContain(`plain HTTP to ${registry}`);
  });

  test.each(["azurecr.io", "team.azurecr.io:8443", "team.azurecr.io.evil.example", "a.example"])(
    "isn't offered to %s",
    (name) => {
      const context = { env: {}, send: newSend(), originOf: () => "https://a.example" };
      expect(azureIdentities(name, context)).toEqual([]);
    },
  );
});
