/** The compiled executable in the tests of failures. */
import { cleanEnvironment, ocireg } from "../e2e/ocireg.ts";
import { compiledBinary } from "../support/binary.ts";
import type { CommandResult } from "../support/programs.ts";

const quiet = { OCIREG_PROGRESS: "none", OCIREG_LOG_LEVEL: "error" };

/** Runs a command without progress; the environment is a clean one. */
export function runOcireg(
  words: readonly string[],
  env: Record<string, string | undefined> = {},
): Promise<CommandResult> {
  return ocireg(words, { env: { ...quiet, ...env } });
}

export interface Pulling {
  readonly pid: number;
  readonly exited: Promise<number>;
  /** Of a pull that succeeded: the path. */
  readonly stdout: Promise<string>;
  readonly stderr: Promise<string>;
  kill(): void;
}

/** Starts a pull of the executable. */
export async function startPull(
  reference: string,
  cacheDirectory: string,
  ...words: string[]
): Promise<Pulling> {
  const child = Bun.spawn(
    [await compiledBinary(), "pull", reference, "--cache-dir", cacheDirectory, ...words],
    {
      env: { ...process.env, ...cleanEnvironment(), ...quiet },
      stdin: "ignore",
      stdout: "pipe",
      stderr: "pipe",
    },
  );
  return {
    pid: child.pid,
    exited: child.exited,
    stdout: child.stdout.text().then((text) => text.trimEnd()),
    stderr: child.stderr.text(),
    kill: () => child.kill("SIGKILL"),
  };
}
