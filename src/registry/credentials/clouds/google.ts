/** Google's registries: an access token of a service account is a password there, for an hour. */
import { readFile } from "node:fs/promises";
import { Type } from "@sinclair/typebox";
import { Value } from "@sinclair/typebox/value";
import { importPKCS8, SignJWT } from "jose";
import { Failure } from "../../../lib/failure.ts";
import type { Expiring } from "../../../lib/renewing.ts";
import { isLoopback } from "../../host.ts";
import type { Credential } from "../credential.ts";
import { askJson, form, probe } from "./endpoint.ts";
import { type CloudContext, type CloudIdentity, parseEndpoint, readNamedFile } from "./identity.ts";

const REGISTRY = /^(?:(?:[a-z0-9-]+\.)?gcr\.io|[a-z0-9-]+-docker\.pkg\.dev)$/;
const SCOPE = "https://www.googleapis.com/auth/cloud-platform";
const TOKEN_URI = "https://oauth2.googleapis.com/token";
const METADATA_HOST = "169.254.169.254";
const FLAVOR = { "metadata-flavor": "Google" };
const VARIABLE = "GOOGLE_APPLICATION_CREDENTIALS";
/** Where Linux tells whose machine this is. */
const PRODUCT_NAME = "/sys/class/dmi/id/product_name";

const Token = Type.Object({
  access_token: Type.String({ minLength: 1 }),
  /** Seconds. */
  expires_in: Type.Optional(Type.Number({ minimum: 0 })),
});

const Key = Type.Object({
  type: Type.Literal("service_account"),
  client_email: Type.String(),
  private_key: Type.String(),
  private_key_id: Type.Optional(Type.String()),
  token_uri: Type.Optional(Type.String()),
});

/** The identities that `registry` accepts; none when it isn't Google's. */
export function googleIdentities(registry: string, context: CloudContext): CloudIdentity[] {
  if (!REGISTRY.test(registry)) return [];
  const what = `can't get credentials for ${registry}`;
  return [serviceAccountKey(context, what), machineAccount(context, what)];
}

/** "Using OAuth 2.0 for Server to Server Applications". */
function serviceAccountKey({ env, send }: CloudContext, what: string): CloudIdentity {
  return {
    name: VARIABLE,
    async ask() {
      if (!env[VARIABLE]) return "it isn't set";
      const key = parseKey(await readNamedFile(env, VARIABLE), env[VARIABLE]);
      const url = parseEndpoint(key.token_uri ?? TOKEN_URI, `"token_uri" of ${VARIABLE}`);
      if (url.protocol === "http:" && !isLoopback(url.hostname)) {
        throw new Failure("usage", `${what}: "token_uri" of ${VARIABLE} isn't https`);
      }
      const assertion = await signAssertion(key, url);
      const token = await askJson(send, Token, {
        what: `${what}: Google's token endpoint`,
        method: "POST",
        url,
        secrets: [assertion],
        ...form({ grant_type: "urn:ietf:params:oauth:grant-type:jwt-bearer", assertion }),
      });
      return asPassword(token);
    },
  };
}

function parseKey(text: string, path: string): typeof Key.static {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    // The check says it.
  }
  if (Value.Check(Key, json)) return json;
  const name = `${JSON.stringify(path)}, which ${VARIABLE} names,`;
  const hint = 'for others, use the credential helper "docker-credential-gcloud"';
  throw new Failure("usage", `${name} isn't the key of a service account; ${hint}`);
}

async function signAssertion(key: typeof Key.static, audience: URL): Promise<string> {
  const header = {
    alg: "RS256",
    typ: "JWT",
    ...(key.private_key_id && { kid: key.private_key_id }),
  };
  try {
    return await new SignJWT({ scope: SCOPE })
      .setProtectedHeader(header)
      .setIssuer(key.client_email)
      .setAudience(audience.href)
      .setIssuedAt()
      .setExpirationTime("1h")
      .sign(await importPKCS8(key.private_key, "RS256"));
  } catch (cause) {
    throw new Failure("usage", `the private key of ${VARIABLE} can't be used`, { cause });
  }
}

/** "About VM metadata": the service account of a machine, or of a GKE pod. */
function machineAccount({ env, send }: CloudContext, what: string): CloudIdentity {
  const host = env["GCE_METADATA_HOST"] || METADATA_HOST;
  const path = "/computeMetadata/v1/instance/service-accounts/default/token";
  return {
    name: "Google's metadata server",
    async ask() {
      const url = parseEndpoint(`http://${host}${path}`, "GCE_METADATA_HOST");
      // A GKE pod may be up some seconds before its metadata server.
      const isExpected = env["GCE_METADATA_HOST"] || (await isGoogleMachine());
      if (!isExpected) {
        const answer = await probe(send, {
          method: "GET",
          url: new URL("/", url),
          headers: FLAVOR,
        });
        if (answer?.headers.get("metadata-flavor") !== FLAVOR["metadata-flavor"]) {
          return `none answers at ${host}`;
        }
      }
      const token = await askJson(send, Token, {
        what: `${what}: the metadata server`,
        method: "GET",
        url,
        headers: FLAVOR,
      });
      return asPassword(token);
    },
  };
}

async function isGoogleMachine(): Promise<boolean> {
  const name = await readFile(PRODUCT_NAME, "utf8").catch(() => "");
  return name.startsWith("Google");
}

function asPassword({ access_token, expires_in }: typeof Token.static): Expiring<Credential> {
  return {
    value: { kind: "basic", username: "oauth2accesstoken", password: access_token },
    lifetime: expires_in === undefined ? undefined : expires_in * 1000,
  };
}
