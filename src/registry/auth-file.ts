/**
 * The credentials file of docker, podman and skopeo (`config.json`, `auth.json`): its format, and
 * which of its entries is meant for a repository. The counterpart of containers-auth.json(5).
 */
import { type Static, type TSchema, Type } from "@sinclair/typebox";
import { Value } from "@sinclair/typebox/value";
import { Failure } from "../lib/failure.ts";
import { DEFAULT_REGISTRY } from "../oci/reference.ts";

/** What authenticates us. */
export type Credential =
  | { readonly kind: "basic"; readonly username: string; readonly password: string }
  /** Buys access tokens: the OAuth refresh token that a registry gave at login. */
  | { readonly kind: "identity"; readonly token: string }
  /** An access token as it is. */
  | { readonly kind: "bearer"; readonly token: string };

/** What a file has for a repository: a credential, or the name of the program that keeps it. */
export interface AuthEntry {
  readonly credential?: Credential;
  /** `osxkeychain` stands for the program `docker-credential-osxkeychain`. */
  readonly helper?: string;
}

const Entry = Type.Object({
  /** base64 of `username:password`. */
  auth: Type.Optional(Type.String()),
  username: Type.Optional(Type.String()),
  password: Type.Optional(Type.String()),
  identitytoken: Type.Optional(Type.String()),
  registrytoken: Type.Optional(Type.String()),
});

/** A plain record would let through what stands under a key with a line feed. */
const AnyKey = Type.String({ pattern: "^[^]*$" });

/** Go's tools write an empty map as null. */
const orNull = <T extends TSchema>(schema: T) => Type.Optional(Type.Union([schema, Type.Null()]));

const AuthFile = Type.Object({
  auths: orNull(Type.Record(AnyKey, Entry)),
  credHelpers: orNull(Type.Record(AnyKey, Type.String())),
  credsStore: Type.Optional(Type.String()),
});
export type AuthFile = Static<typeof AuthFile>;

/** The user name by which docker marks a password that is an identity token. */
const TOKEN_USERNAME = "<token>";

/** @throws {Failure} `usage`, which names `source` and quotes nothing of it */
export function parseAuthFile(text: string, source: string): AuthFile {
  const fail = (reason: string) =>
    new Failure("usage", `can't read the credentials in ${source}: ${reason}`);
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    throw fail("it isn't JSON");
  }
  if (Value.Check(AuthFile, json)) return json;
  const error = Value.Errors(AuthFile, json).First();
  throw fail(`${error?.path || "/"}: ${error?.message ?? "unexpected"}`);
}

/**
 * What `file` has for `repository` of `registry`, the most specific namespace first:
 * `host/a/b`, `host/a`, `host`.
 */
export function findAuthEntry(file: AuthFile, registry: string, repository = ""): AuthEntry {
  const credential = findCredential(file, registry, repository);
  if (credential) return { credential };
  const own = Object.entries(file.credHelpers ?? {}).find(
    ([key]) => normalizeKey(key) === registry,
  );
  const helper = own?.[1] || file.credsStore;
  return helper ? { helper } : {};
}

function findCredential(file: AuthFile, registry: string, repository: string) {
  const entries = new Map<string, Credential>();
  for (const [key, entry] of Object.entries(file.auths ?? {})) {
    const credential = credentialOf(entry);
    const name = normalizeKey(key);
    // Where two keys mean the same, the one that is written as we write it wins.
    if (credential && (name === key || !entries.has(name))) entries.set(name, credential);
  }
  for (let name = repository ? `${registry}/${repository}` : registry; ; ) {
    const credential = entries.get(name);
    if (credential || name === registry) return credential;
    name = name.slice(0, name.lastIndexOf("/"));
  }
}

function credentialOf(entry: Static<typeof Entry>): Credential | undefined {
  if (entry.registrytoken) return { kind: "bearer", token: entry.registrytoken };
  if (entry.identitytoken) return { kind: "identity", token: entry.identitytoken };
  let { username = "", password = "" } = entry;
  if (entry.auth) {
    const decoded = Buffer.from(entry.auth, "base64").toString("utf8").replace(/\0+$/, "");
    const colon = decoded.indexOf(":");
    if (colon < 0) return undefined;
    username = decoded.slice(0, colon);
    password = decoded.slice(colon + 1);
  }
  if (!username || !password) return undefined;
  if (username === TOKEN_USERNAME) return { kind: "identity", token: password };
  return { kind: "basic", username, password };
}

/** `https://index.docker.io/v1/` is `docker.io`: what a key means, as `registry[/namespace]`. */
function normalizeKey(key: string): string {
  const name = key
    .replace(/^https?:\/\//, "")
    .replace(/\/+$/, "")
    .replace(/\/v[12]$/, "");
  const slash = name.indexOf("/");
  const host = (slash < 0 ? name : name.slice(0, slash)).toLowerCase();
  const path = slash < 0 ? "" : name.slice(slash);
  const isDockerHub = host === "index.docker.io" || host === "registry-1.docker.io";
  return `${isDockerHub ? DEFAULT_REGISTRY : host}${path}`;
}
