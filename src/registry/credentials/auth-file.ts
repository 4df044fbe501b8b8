/**
 * The credentials file of docker, podman and skopeo (`config.json`, `auth.json`): its format, and
 * which of its entries is meant for a repository. The counterpart of containers-auth.json(5).
 */
import { type Static, type TSchema, Type } from "@sinclair/typebox";
import { Value } from "@sinclair/typebox/value";
import { Failure } from "../../lib/failure.ts";
import { DEFAULT_REGISTRY } from "../../oci/reference.ts";
import { type Credential, credentialOf } from "./credential.ts";

/** What a file has for a repository, in the order in which it is asked for. */
export interface AuthEntries {
  /** For a namespace of the registry, which says more than any entry for all of it. */
  readonly forNamespace: Credential | undefined;
  /** `osxkeychain` stands for the program `docker-credential-osxkeychain`. */
  readonly helper: string | undefined;
  readonly forRegistry: Credential | undefined;
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

/** What `file` has for `repository` of `registry`, the most specific namespace first. */
export function findAuthEntries(file: AuthFile, registry: string, repository = ""): AuthEntries {
  const entries = credentialsByName(file);
  return {
    forNamespace: repository === "" ? undefined : findNamespace(entries, registry, repository),
    helper: findHelper(file, registry),
    forRegistry: entries.get(registry),
  };
}

/** The helper that keeps the credentials of `registry`: its own one, else the one for all. */
export function findHelper(file: AuthFile, registry: string): string | undefined {
  const helpers = Object.entries(file.credHelpers ?? {});
  const own = helpers.find(([key]) => normalizeKey(key) === registry)?.[1];
  // An empty one says that this registry's credentials are in the file.
  return (own ?? file.credsStore) || undefined;
}

/** `host/a/b`, then `host/a`. */
function findNamespace(
  entries: ReadonlyMap<string, Credential>,
  registry: string,
  repository: string,
): Credential | undefined {
  for (let name = `${registry}/${repository}`; name !== registry; ) {
    const credential = entries.get(name);
    if (credential) return credential;
    name = name.slice(0, name.lastIndexOf("/"));
  }
  return undefined;
}

function credentialsByName(file: AuthFile): Map<string, Credential> {
  const entries = new Map<string, Credential>();
  for (const [key, entry] of Object.entries(file.auths ?? {})) {
    const credential = credentialOfEntry(entry);
    const name = normalizeKey(key);
    // Where two keys mean the same, the one that is written as we write it wins.
    if (credential && (name === key || !entries.has(name))) entries.set(name, credential);
  }
  return entries;
}

function credentialOfEntry(entry: Static<typeof Entry>): Credential | undefined {
  if (entry.registrytoken) return { kind: "bearer", token: entry.registrytoken };
  if (entry.identitytoken) return { kind: "identity", token: entry.identitytoken };
  const { auth, username = "", password = "" } = entry;
  if (!auth) return credentialOf(username, password);
  const decoded = Buffer.from(auth, "base64").toString("utf8").replace(/\0+$/, "");
  const colon = decoded.indexOf(":");
  return colon < 0 ? undefined : credentialOf(decoded.slice(0, colon), decoded.slice(colon + 1));
}

/** `https://index.docker.io/v1/` is `docker.io`: what a key means, as `registry[/namespace]`. */
export function normalizeKey(key: string): string {
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
