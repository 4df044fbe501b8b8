/** Against hosts of our own that speak as Google's token endpoint and metadata server do. */
import { describe, expect, test } from "bun:test";
import { generateKeyPairSync } from "node:crypto";
import { join } from "node:path";
import { jwtVerify } from "jose";
import type { FoundCredential } from "../../../../src/registry/credentials/credentials.ts";
import { temporaryDirectory } from "../../../support/temp.ts";
import { newCredentials, startHost, type TestHost } from "../../fixtures.ts";

const registry = "europe-west4-docker.pkg.dev";
const { privateKey, publicKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });

/** The OAuth endpoint, which verifies what a service account signs. */
function startTokenEndpoint(): TestHost & { readonly claims: unknown[] } {
  const claims: unknown[] = [];
  const host = startHost(async (request, url) => {
    const form = new URLSearchParams(await request.text());
    const assertion = form.get("assertion") ?? "";
    try {
      const audience = `http://${url.host}/token`;
      const { payload, protectedHeader } = await jwtVerify(assertion, publicKey, { audience });
      claims.push({ ...payload, kid: protectedHeader.kid, grant: form.get("grant_type") });
    } catch {
      const description = `Invalid JWT Signature: ${assertion}`;
      const error = { error: "invalid_grant", error_description: description };
      return Response.json(error, { status: 400 });
    }
    return Response.json({ access_token: "ya29.key", expires_in: 3599, token_type: "Bearer" });
  });
  return { ...host, claims };
}

function startMetadata(answer: () => Response | Promise<Response>): TestHost {
  return startHost((request) =>
    request.headers.get("metadata-flavor") === "Google"
      ? answer()
      : new Response("Missing Metadata-Flavor:Google header.", { status: 403 }),
  );
}

async function writeKey(more: Record<string, unknown>): Promise<string> {
  const path = join(temporaryDirectory(), "key.json");
  const key = {
    type: "service_account",
    project_id: "p",
    private_key_id: "key-1",
    private_key: privateKey.export({ type: "pkcs8", format: "pem" }),
    client_email: "puller@p.iam.gserviceaccount.com",
    ...more,
  };
  await Bun.write(path, JSON.stringify(key));
  return path;
}

function find(env: Record<string, string>, name = registry): Promise<FoundCredential> {
  const quiet = { HOME: temporaryDirectory(), GCE_METADATA_HOST: "127.0.0.1:1" };
  return newCredentials({ env: { ...quiet, ...env } }).find({ registry: name, scopes: [] });
}

const password = (token: string) =>
  ({ kind: "basic", username: "oauth2accesstoken", password: token }) as const;

describe("an access token of Google", () => {
  test("is bought with the key of a service account", async () => {
    const endpoint = startTokenEndpoint();
    const path = await writeKey({ token_uri: `http://${endpoint.host}/token` });
    const { credential, source } = await find({ GOOGLE_APPLICATION_CREDENTIALS: path });
    expect(credential).toEqual(password("ya29.key"));
    expect(source).toBe("GOOGLE_APPLICATION_CREDENTIALS");
    expect(endpoint.claims).toEqual([
      {
        iss: "puller@p.iam.gserviceaccount.com",
        aud: `http://${endpoint.host}/token`,
        scope: "https://www.googleapis.com/auth/cloud-platform",
        iat: expect.any(Number),
        exp: expect.any(Number),
        kid: "key-1",
        grant: "urn:ietf:params:oauth:grant-type:jwt-bearer",
      },
    ]);
  });

  test.each(["gcr.io", "eu.gcr.io", "us-docker.pkg.dev", registry])(
    "is given by the metadata server, for %s",
    async (name) => {
      const metadata = startMetadata(() =>
        Response.json({ access_token: "ya29.vm", expires_in: 3599, token_type: "Bearer" }),
      );
      const { credential, source } = await find({ GCE_METADATA_HOST: metadata.host }, name);
      expect(credential).toEqual(password("ya29.vm"));
      expect(source).toBe("Google's metadata server");
      expect(metadata.requests).toEqual([
        "GET /computeMetadata/v1/instance/service-accounts/default/token",
      ]);
    },
  );

  test("is waited for where the metadata server isn't ready yet", async () => {
    let asked = 0;
    const metadata = startMetadata(() =>
      ++asked === 1
        ? new Response(null, { status: 503 })
        : Response.json({ access_token: "ya29.vm", expires_in: 3599 }),
    );
    const { credential } = await find({ GCE_METADATA_HOST: metadata.host });
    expect(credential).toEqual(password("ya29.vm"));
  });

  test("is fetched once for many, and again when it has expired", async () => {
    let given = 0;
    const metadata = startMetadata(async () => {
      await Bun.sleep(20);
      given++;
      return Response.json({ access_token: `t${given}`, expires_in: given === 1 ? 0 : 3599 });
    });
    const env = { HOME: temporaryDirectory(), GCE_METADATA_HOST: metadata.host };
    const credentials = newCredentials({ env });
    const find = (repository: string) => credentials.find({ registry, repository, scopes: [] });
    await find("a");
    const found = await Promise.all([find("a"), find("b"), find("a")]);
    expect(found.map(({ credential }) => credential)).toEqual(Array(3).fill(password("t2")));
    expect(given).toBe(2);
  });

  test.each([
    ["another kind of credentials", { type: "external_account" }, "isn't the key of a service acc"],
    ["a broken key", { private_key: "hidden" }, "can't be used"],
    ["an endpoint without TLS", { token_uri: "http://elsewhere.example/" }, "isn't https"],
    ["an endpoint that is none", { token_uri: "file:///etc/passwd" }, "want an http or https URL"],
  ])("isn't had with %s", async (_, more, reason) => {
    const path = await writeKey(more);
    const { credential, asked } = await find({ GOOGLE_APPLICATION_CREDENTIALS: path });
    expect(credential).toBeUndefined();
    const failure = asked.find(({ source }) => source === "GOOGLE_APPLICATION_CREDENTIALS");
    expect(failure?.reason).toContain(reason);
    expect(failure?.reason).not.toContain("hidden");
  });

  test("that is refused is a failure with Google's words, and without what we signed", async () => {
    const endpoint = startTokenEndpoint();
    const { privateKey: other } = generateKeyPairSync("rsa", { modulusLength: 2048 });
    const path = await writeKey({
      private_key: other.export({ type: "pkcs8", format: "pem" }),
      token_uri: `http://${endpoint.host}/token`,
    });
    const { asked } = await find({ GOOGLE_APPLICATION_CREDENTIALS: path });
    const { reason = "" } = asked.find(({ failed }) => failed) ?? {};
    expect(reason).toContain("answered 400 invalid_grant");
    expect(reason).not.toContain("eyJ");
  });

  test("names a key file that isn't there", async () => {
    const { asked } = await find({ GOOGLE_APPLICATION_CREDENTIALS: "/nowhere/key.json" });
    const { reason } = asked.find(({ failed }) => failed) ?? {};
    expect(reason).toBe(
      `can't read "/nowhere/key.json", which GOOGLE_APPLICATION_CREDENTIALS names: ENOENT`,
    );
  });

  test.each(["gcr.io.evil.example", "evilgcr.io", "docker.pkg.dev.evil.example", "a.example"])(
    "isn't offered to %s",
    async (name) => {
      const metadata = startMetadata(() => Response.json({ access_token: "ya29.vm" }));
      const { credential } = await find({ GCE_METADATA_HOST: metadata.host }, name);
      expect(credential).toBeUndefined();
      expect(metadata.requests).toEqual([]);
    },
  );
});
