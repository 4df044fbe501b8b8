/** Which files hold credentials, and what stands in them. */
import { readFile } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";
import { Failure } from "../../lib/failure.ts";
import { type AuthFile, parseAuthFile } from "./auth-file.ts";
import type { Environment } from "./credential.ts";

/** Where podman and skopeo keep credentials when there is no runtime directory. */
const RUNTIME_ROOT = "/run/containers";

/** Docker's own file. */
export function dockerConfigPath(env: Environment): string {
  return join(env["DOCKER_CONFIG"] || join(homeOf(env), ".docker"), "config.json");
}

/** Where credentials may lie, the first to ask first. The counterpart of containers-auth.json(5). */
export function authFilePaths(env: Environment, uid = process.getuid?.()): string[] {
  const runtime = env["XDG_RUNTIME_DIR"]
    ? join(env["XDG_RUNTIME_DIR"], "containers")
    : uid !== undefined && join(RUNTIME_ROOT, String(uid));
  const config = env["XDG_CONFIG_HOME"] || join(homeOf(env), ".config");
  return [
    ...(env["REGISTRY_AUTH_FILE"] ? [env["REGISTRY_AUTH_FILE"]] : []),
    dockerConfigPath(env),
    ...(runtime ? [join(runtime, "auth.json")] : []),
    join(config, "containers", "auth.json"),
  ];
}

/** The file at `path`; undefined where there is none. @throws {Failure} `usage`: it can't be read */
export async function readAuthFile(path: string): Promise<AuthFile | undefined> {
  const source = JSON.stringify(path);
  try {
    return parseAuthFile(await readFile(path, "utf8"), source);
  } catch (cause) {
    if (cause instanceof Failure) throw cause;
    const { code } = cause as NodeJS.ErrnoException;
    if (code === "ENOENT" || code === "ENOTDIR") return undefined;
    // Root may keep all of it to itself.
    if (code === "EACCES" && path.startsWith(RUNTIME_ROOT)) return undefined;
    throw new Failure("usage", `can't read the credentials in ${source}: ${code}`, { cause });
  }
}

function homeOf(env: Environment): string {
  return env["HOME"] || homedir();
}
