/** A registry client: a program that runs in a home of its own. */
import { join } from "node:path";
import { requireTool, runChecked } from "../support/programs.ts";
import { temporaryDirectory } from "../support/temp.ts";

export interface ClientProgram {
  /** Runs it and returns its standard output without the last newline. @throws when it fails */
  (...args: string[]): Promise<string>;
  /** Its home directory; it reads and writes no other configuration. */
  readonly home: string;
}

/** @param always what stands before the arguments of every call */
export function clientProgram(
  name: string,
  always: readonly string[] = [],
  env: Record<string, string> = {},
): ClientProgram {
  const home = temporaryDirectory();
  const isolated = {
    HOME: home,
    XDG_CONFIG_HOME: join(home, ".config"),
    XDG_CACHE_HOME: join(home, ".cache"),
    XDG_RUNTIME_DIR: home,
    DOCKER_CONFIG: undefined,
    REGISTRY_AUTH_FILE: undefined,
  };
  const program = requireTool(name);
  return Object.assign(
    (...args: string[]) =>
      runChecked([program, ...always, ...args], { env: { ...isolated, ...env }, cwd: home }),
    { home },
  );
}

/** Storage of its own for podman and buildah, which needs neither a daemon nor mounts. */
export function containerStorage(): string[] {
  const directory = temporaryDirectory();
  return [
    ...["--root", join(directory, "root"), "--runroot", join(directory, "run")],
    ...["--storage-driver", "vfs"],
  ];
}
