/**
 * Where `hosts.toml` and certificates of hosts lie: `certs.d/HOST/`, as containerd, docker and podman
 * have it.
 */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { Failure } from "../lib/failure.ts";
import { type HostsFile, parseHostsFile } from "./hosts-file.ts";
import type { HostTls } from "./tls.ts";

type Environment = Readonly<Record<string, string | undefined>>;

/** A file of hosts, and the path by which to speak of it. */
export interface FoundHosts extends HostsFile {
  readonly path: string;
}

/** What is used for registries that have no directory of their own. */
const DEFAULT_NAME = "_default";
const MAX_FILE_SIZE = 1024 * 1024;
const ABSENT = new Set(["ENOENT", "ENOTDIR"]);

/** Where to look when nobody says: the user's own first. */
export function usualDirectories(env: Environment): string[] {
  const config = env["XDG_CONFIG_HOME"] || join(env["HOME"] || homedir(), ".config");
  return [
    join(config, "ocireg", "certs.d"),
    join(config, "containers", "certs.d"),
    "/etc/containerd/certs.d",
    "/etc/containers/certs.d",
    "/etc/docker/certs.d",
  ];
}

/**
 * What the directories say of a registry: the first that has something of it, else the first that
 * has a default.
 *
 * @param required whether a directory that is absent or can't be read is an error
 * @throws {Failure} `usage`: a file isn't what it should be, or can't be read
 */
export function findHosts(
  registry: string,
  directories: readonly string[],
  required: boolean,
): FoundHosts | undefined {
  const absent = directories.find((directory) => required && !existsSync(directory));
  if (absent !== undefined) {
    throw new Failure("usage", `there is no directory of hosts ${JSON.stringify(absent)}`);
  }
  // containerd's order; a colon isn't welcome in every file system.
  const names = [...new Set([registry.replace(/:(\d+)$/, "_$1_"), registry])];
  for (const candidates of [names, [DEFAULT_NAME]]) {
    for (const directory of directories) {
      for (const name of candidates) {
        const found = readHosts(join(directory, name), required);
        if (found) return found;
      }
    }
  }
  return undefined;
}

function readHosts(directory: string, required: boolean): FoundHosts | undefined {
  const path = join(directory, "hosts.toml");
  const text = ifPresent(path, required, () => readFileSync(path));
  if (text === undefined) return readCertificates(directory, required);
  if (text.byteLength > MAX_FILE_SIZE) {
    throw new Failure("usage", `${JSON.stringify(path)} is too large for a file of hosts`);
  }
  return { ...parseHostsFile(text.toString("utf8"), path), path };
}

/** docker's convention: `*.crt` are authorities, `NAME.cert` and `NAME.key` show who we are. */
function readCertificates(directory: string, required: boolean): FoundHosts | undefined {
  const names = ifPresent(directory, required, () => readdirSync(directory).sort()) ?? [];
  const ca = names.filter((name) => name.endsWith(".crt"));
  const cert = names.find((name) => name.endsWith(".cert"));
  if (ca.length === 0 && cert === undefined) return undefined;
  const tls: HostTls = {
    ...(ca.length > 0 && { ca: ca.map((name) => join(directory, name)) }),
    ...(cert !== undefined && {
      client: {
        cert: join(directory, cert),
        key: join(directory, cert.replace(/\.cert$/, ".key")),
      },
    }),
  };
  return { server: { tls }, hosts: [], ignored: [], path: directory };
}

function ifPresent<T>(path: string, required: boolean, read: () => T): T | undefined {
  try {
    return read();
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code ?? "unknown";
    // Directories of the system may be root's alone.
    if (ABSENT.has(code) || (code === "EACCES" && !required)) return undefined;
    throw new Failure("usage", `can't read ${JSON.stringify(path)}: ${code}`, { cause });
  }
}
