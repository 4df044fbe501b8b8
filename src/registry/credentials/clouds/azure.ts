/**
 * Azure's registries: a token of Microsoft Entra ID is exchanged for an identity token of the
 * registry, which lives for three hours.
 */
import { Type } from "@sinclair/typebox";
import { decodeJwt } from "jose";
import { Failure } from "../../../lib/failure.ts";
import type { Expiring } from "../../../lib/renewing.ts";
import { isLoopback } from "../../host.ts";
import type { Credential } from "../credential.ts";
import { askJson, form, probe } from "./endpoint.ts";
import {
  type CloudContext,
  type CloudIdentity,
  lifetimeUntil,
  parseEndpoint,
  readNamedFile,
} from "./identity.ts";

const REGISTRY = /^[a-z0-9-]+(?:\.[a-z0-9-]+)*\.azurecr\.(?:io|cn|us)$/;
/** Whom the tokens are for: registries and nothing else. */
const RESOURCE = "https://containerregistry.azure.net";
const AUTHORITY = "https://login.microsoftonline.com/";
const INSTANCE_HOST = "http://169.254.169.254";

const AccessToken = Type.Object({ access_token: Type.String({ minLength: 1 }) });
const RefreshToken = Type.Object({ refresh_token: Type.String({ minLength: 1 }) });

interface Entra {
  readonly name: string;
  /** An access token of Entra ID; a text in `reason` says why the environment offers none. */
  token(): Promise<{ readonly token: string } | { readonly reason: string }>;
}

/** The identities that `registry` accepts; none when it isn't Azure's. */
export function azureIdentities(registry: string, context: CloudContext): CloudIdentity[] {
  if (!REGISTRY.test(registry)) return [];
  const what = `can't get credentials for ${registry}`;
  const identities = [
    workloadIdentity(context, what),
    serviceIdentity(context, what),
    machineIdentity(context, what),
  ];
  return identities.map(({ name, token }) => ({
    name,
    async ask() {
      const found = await token();
      return "reason" in found ? found.reason : exchange(registry, found.token, context, what);
    },
  }));
}

/** "Microsoft identity platform and the OAuth 2.0 client credentials flow", federated credential. */
function workloadIdentity({ env, send }: CloudContext, what: string): Entra {
  const variable = "AZURE_FEDERATED_TOKEN_FILE";
  return {
    name: variable,
    async token() {
      const client = env["AZURE_CLIENT_ID"];
      const tenant = env["AZURE_TENANT_ID"];
      if (!env[variable] || !client || !tenant) {
        return { reason: "it isn't set, or not AZURE_CLIENT_ID and AZURE_TENANT_ID" };
      }
      const assertion = await readNamedFile(env, variable);
      const authority = parseEndpoint(
        env["AZURE_AUTHORITY_HOST"] || AUTHORITY,
        "AZURE_AUTHORITY_HOST",
      );
      requireTls(authority, `${what}: AZURE_AUTHORITY_HOST`);
      const { access_token: token } = await askJson(send, AccessToken, {
        what: `${what}: Microsoft Entra ID`,
        method: "POST",
        url: new URL(`/${encodeURIComponent(tenant)}/oauth2/v2.0/token`, authority),
        secrets: [assertion],
        ...form({
          grant_type: "client_credentials",
          client_id: client,
          client_assertion_type: "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
          client_assertion: assertion,
          scope: `${RESOURCE}/.default`,
        }),
      });
      return { token };
    },
  };
}

/** The managed identity of App Service and Container Apps. */
function serviceIdentity({ env, send }: CloudContext, what: string): Entra {
  return {
    name: "IDENTITY_ENDPOINT",
    async token() {
      const header = env["IDENTITY_HEADER"];
      const endpoint = env["IDENTITY_ENDPOINT"];
      if (!endpoint || !header) return { reason: "it isn't set, or not IDENTITY_HEADER" };
      const url = parseEndpoint(endpoint, "IDENTITY_ENDPOINT");
      return askManagedIdentity(send, {
        what: `${what}: the managed identity of IDENTITY_ENDPOINT`,
        url: managedIdentityUrl(url, "2019-08-01", env),
        headers: { "x-identity-header": header },
        secrets: [header],
      });
    },
  };
}

/** "How to use managed identities for Azure resources on an Azure VM to acquire an access token". */
function machineIdentity({ env, send }: CloudContext, what: string): Entra {
  const variable = "AZURE_POD_IDENTITY_AUTHORITY_HOST";
  return {
    name: "the managed identity of this Azure machine",
    async token() {
      const base = parseEndpoint(env[variable] || INSTANCE_HOST, variable);
      const headers = { metadata: "true" };
      const about = new URL("/metadata/instance?api-version=2021-02-01", base);
      const instance = env[variable]
        ? undefined
        : await probe(send, { method: "GET", url: about, headers });
      if (!env[variable] && instance?.status !== 200) {
        return { reason: `no instance metadata at ${base.host}` };
      }
      const url = new URL("/metadata/identity/oauth2/token", base);
      return askManagedIdentity(send, {
        what: `${what}: the managed identity`,
        url: managedIdentityUrl(url, "2018-02-01", env),
        headers,
      });
    },
  };
}

function managedIdentityUrl(endpoint: URL, version: string, env: CloudContext["env"]): URL {
  const url = new URL(endpoint);
  url.searchParams.set("api-version", version);
  url.searchParams.set("resource", RESOURCE);
  // Without it, the one identity that there is.
  if (env["AZURE_CLIENT_ID"]) url.searchParams.set("client_id", env["AZURE_CLIENT_ID"]);
  return url;
}

async function askManagedIdentity(
  send: CloudContext["send"],
  question: Omit<Parameters<typeof askJson>[2], "method">,
): Promise<{ token: string }> {
  const answer = await askJson(send, AccessToken, { ...question, method: "GET" });
  return { token: answer.access_token };
}

/** "ACR OAuth2 documentation": POST /oauth2/exchange. */
async function exchange(
  registry: string,
  token: string,
  { send, originOf, env }: CloudContext,
  what: string,
): Promise<Expiring<Credential>> {
  const origin = new URL(originOf(registry));
  requireTls(origin, what);
  const tenant = env["AZURE_TENANT_ID"];
  const { refresh_token } = await askJson(send, RefreshToken, {
    what,
    method: "POST",
    url: new URL("/oauth2/exchange", origin),
    secrets: [token],
    ...form({
      grant_type: "access_token",
      service: registry,
      ...(tenant && { tenant }),
      access_token: token,
    }),
  });
  return { value: { kind: "identity", token: refresh_token }, lifetime: lifetimeOf(refresh_token) };
}

/** Undefined for what isn't a JWT: then its end shows when it is refused. */
function lifetimeOf(token: string): number | undefined {
  try {
    const { exp } = decodeJwt(token);
    return exp === undefined ? undefined : lifetimeUntil(exp * 1000);
  } catch {
    return undefined;
  }
}

function requireTls(url: URL, what: string): void {
  if (url.protocol === "https:" || isLoopback(url.hostname)) return;
  throw new Failure("usage", `${what}: plain HTTP to ${url.host} would show our token to others`);
}
