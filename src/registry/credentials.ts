/** Where credentials come from, in order: docs of `login`, first hit wins. */
import { readFile } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";
import { Failure } from "../lib/failure.ts";
import { type AuthEntry, findAuthEntry, parseAuthFile } from "./auth-file.ts";
import type { Access } from "./http.ts";
import type { ClientOptions } from "./options.ts";

/** What was found for a repository, and where. */
export interface FoundCredential extends AuthEntry {
  /** For messages: `"/home/me/.docker/config.json"`. */
  readonly source?: string;
}

/** Where podman and skopeo keep credentials when there is no runtime directory. */
const RUNTIME_ROOT = "/run/containers";

type Environment = Readonly<Record<string, string | undefined>>;

export class Credentials {
  readonly #options: ClientOptions;
  readonly #found = new Map<string, Promise<FoundCredential>>();

  /** @throws {Failure} `usage`: a user name without its password, or without its registry */
  constructor(options: ClientOptions) {
    const { username, password, credentialRegistry } = options;
    if ((username === undefined) !== (password === undefined)) {
      throw new Failure("usage", "a user name and a password are only of use together");
    }
    if (username !== undefined && credentialRegistry === undefined) {
      throw new Failure("usage", "a user name and a password need the registry they are for");
    }
    this.#options = options;
  }

  /**
   * What is known for `access`. Files are read once, and not before a registry asks who we are.
   *
   * @throws {Failure} `usage`: a file can't be read
   */
  find({ registry, repository }: Access): Promise<FoundCredential> {
    const key = repository ? `${registry}/${repository}` : registry;
    let found = this.#found.get(key);
    if (!found) {
      found = this.#search(registry, repository);
      this.#found.set(key, found);
    }
    return found;
  }

  /** What a person can do about an answer that credentials might have changed. */
  async explain(access: Access): Promise<string> {
    const { credential, helper, source } = await this.find(access);
    const registry = access.registry;
    if (credential) return `it doesn't accept the credentials from ${source} for this`;
    if (helper) {
      const program = JSON.stringify(`docker-credential-${helper}`);
      return `${source} leaves the credentials of ${registry} to the helper ${program}, and credential helpers aren't supported yet: set OCIREG_USERNAME and OCIREG_PASSWORD`;
    }
    return `there are no credentials for ${registry}: set OCIREG_USERNAME and OCIREG_PASSWORD, or log in with docker or podman`;
  }

  async #search(registry: string, repository: string | undefined): Promise<FoundCredential> {
    const { username, password, credentialRegistry, env } = this.#options;
    if (username !== undefined && password !== undefined && registry === credentialRegistry) {
      return {
        credential: { kind: "basic", username, password },
        source: "the command line or environment",
      };
    }
    let helper: FoundCredential | undefined;
    for await (const { text, source } of authFiles(env ?? process.env)) {
      const entry = findAuthEntry(parseAuthFile(text, source), registry, repository);
      if (entry.credential) return { ...entry, source };
      if (entry.helper) helper ??= { ...entry, source };
    }
    return helper ?? {};
  }
}

/** The credentials files that exist, the first to ask first. */
async function* authFiles(env: Environment): AsyncGenerator<{ text: string; source: string }> {
  const inline = env["DOCKER_AUTH_CONFIG"];
  if (inline) yield { text: inline, source: "DOCKER_AUTH_CONFIG" };
  for (const path of authFilePaths(env)) {
    const source = JSON.stringify(path);
    const text = await readIfPresent(path, source);
    if (text !== undefined) yield { text, source };
  }
}

/** Where credentials may lie, the first to ask first. The counterpart of containers-auth.json(5). */
export function authFilePaths(env: Environment, uid = process.getuid?.()): string[] {
  const home = env["HOME"] || homedir();
  const runtime = env["XDG_RUNTIME_DIR"]
    ? join(env["XDG_RUNTIME_DIR"], "containers")
    : uid !== undefined && join(RUNTIME_ROOT, String(uid));
  const config = env["XDG_CONFIG_HOME"] || join(home, ".config");
  return [
    ...(env["REGISTRY_AUTH_FILE"] ? [env["REGISTRY_AUTH_FILE"]] : []),
    join(env["DOCKER_CONFIG"] || join(home, ".docker"), "config.json"),
    ...(runtime ? [join(runtime, "auth.json")] : []),
    join(config, "containers", "auth.json"),
  ];
}

async function readIfPresent(path: string, source: string): Promise<string | undefined> {
  try {
    return await readFile(path, "utf8");
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code;
    if (code === "ENOENT" || code === "ENOTDIR") return undefined;
    // Root may keep all of it to itself.
    if (code === "EACCES" && path.startsWith(RUNTIME_ROOT)) return undefined;
    throw new Failure("usage", `can't read the credentials in ${source}: ${code}`, { cause });
  }
}
