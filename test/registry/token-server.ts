/** A token server that grants and signs for real, and distribution that believes it. */
import { generateKeyPairSync, sign } from "node:crypto";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { requireTool, startProgram } from "../support/programs.ts";
import { temporaryDirectory } from "../support/temp.ts";
import { startHost, type TestHost } from "./fixtures.ts";

const SERVICE = "registry-under-test";
const ISSUER = "issuer-under-test";
const KEY_ID = "key-under-test";
/** Seconds that distribution takes a token beyond its time. */
const LEEWAY = 60;

export interface TokenServer extends TestHost {
  readonly realm: string;
  /** The public keys as a JWK set. */
  readonly keys: string;
  /** The forms of POST requests. */
  readonly forms: URLSearchParams[];
}

export interface TokenServerOptions {
  readonly username: string;
  readonly password: string;
  /** What POST takes in place of a password. */
  readonly identityToken?: string;
  /** Seconds; none is sent without it. */
  readonly lifetime?: number;
  /** Seconds until the registry takes a token no more, whatever was said. @default 3600 */
  readonly validity?: number;
}

/** Everybody may pull from `public/…`; the user may do everything. */
export function startTokenServer(options: TokenServerOptions): TokenServer {
  const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const forms: URLSearchParams[] = [];
  const basic = Buffer.from(`${options.username}:${options.password}`).toString("base64");

  const issue = (scopes: string[], isUser: boolean) => {
    const now = Math.floor(Date.now() / 1000);
    const encode = (value: unknown) => Buffer.from(JSON.stringify(value)).toString("base64url");
    const head = encode({ typ: "JWT", alg: "ES256", kid: KEY_ID });
    const claims = encode({
      iss: ISSUER,
      aud: SERVICE,
      sub: isUser ? options.username : "",
      jti: crypto.randomUUID(),
      iat: now - 2 * LEEWAY,
      nbf: now - 2 * LEEWAY,
      exp: now + (options.validity ?? 3600) - LEEWAY,
      access: scopes.flatMap((scope) => grant(scope, isUser)),
    });
    const signature = sign("sha256", Buffer.from(`${head}.${claims}`), {
      key: privateKey,
      dsaEncoding: "ieee-p1363",
    });
    return `${head}.${claims}.${signature.toString("base64url")}`;
  };

  const host = startHost(async (request, url) => {
    if (request.method === "POST") {
      const form = new URLSearchParams(await request.text());
      forms.push(form);
      if (form.get("refresh_token") !== options.identityToken) return refusal();
      const scopes = form.get("scope")?.split(" ") ?? [];
      return Response.json({ access_token: issue(scopes, true), token_type: "Bearer" });
    }
    const authorization = request.headers.get("authorization");
    if (authorization !== null && authorization !== `Basic ${basic}`) return refusal();
    const token = issue(url.searchParams.getAll("scope"), authorization !== null);
    const { lifetime } = options;
    return Response.json({ token, ...(lifetime !== undefined && { expires_in: lifetime }) });
  });
  const key = { ...publicKey.export({ format: "jwk" }), kid: KEY_ID, alg: "ES256", use: "sig" };
  return {
    ...host,
    realm: `http://${host.host}/token`,
    keys: JSON.stringify({ keys: [key] }),
    forms,
  };
}

function refusal(): Response {
  return Response.json({ details: "incorrect username or password" }, { status: 401 });
}

function grant(scope: string, isUser: boolean) {
  const [type, name = "", actions = ""] = scope.split(":");
  const asked = actions.split(",");
  const allowed = isUser
    ? asked
    : asked.filter((action) => name.startsWith("public/") && action === "pull");
  return allowed.length > 0 ? [{ type, name, actions: allowed }] : [];
}

export interface GuardedRegistry {
  readonly host: string;
  stop(): Promise<unknown>;
}

/** Distribution v3 that asks for passwords in `htpasswd`, or for the tokens of a server. */
export async function startGuardedDistribution(
  guard: { readonly htpasswd: string } | TokenServer,
): Promise<GuardedRegistry> {
  const root = temporaryDirectory();
  const write = (name: string, content: string) => {
    writeFileSync(join(root, name), content);
    return join(root, name);
  };
  const auth =
    "htpasswd" in guard
      ? { htpasswd: { realm: "test", path: write("htpasswd", guard.htpasswd) } }
      : {
          token: {
            realm: guard.realm,
            service: SERVICE,
            issuer: ISSUER,
            jwks: write("keys.json", guard.keys),
            signingalgorithms: ["ES256"],
          },
        };
  const config = write(
    "config.yml",
    JSON.stringify({
      version: "0.1",
      storage: { filesystem: { rootdirectory: join(root, "data") }, delete: { enabled: true } },
      http: { addr: "127.0.0.1:0" },
      auth,
    }),
  );
  const program = await startProgram(
    [requireTool("registry"), "serve", config],
    /listening on (127\.0\.0\.1:\d+)/,
    { env: { OTEL_TRACES_EXPORTER: "none" } },
  );
  return { host: program.ready, stop: () => program.stop() };
}
