/** Programs: where they are, those that run to their end, those that serve until stopped. */

import { resolve } from "node:path";

/** Where to look after PATH: what `.ci/run` built, and where Debian puts servers. */
const furtherDirectories = [resolve(import.meta.dir, "../../dist/tools/bin"), "/usr/sbin", "/sbin"];

/** The absolute path of a program on PATH (or where else the tests' tools may be), if there is one. */
export function findTool(name: string): string | undefined {
  const path = [process.env["PATH"] ?? "", ...furtherDirectories].join(":");
  return Bun.which(name, { PATH: path }) ?? undefined;
}

/**
 * The absolute path of a program.
 * @throws where it is missing
 */
export function requireTool(name: string): string {
  const tool = findTool(name);
  if (tool === undefined) throw new Error(`${name} isn't on PATH: install it (.ci/run does)`);
  return tool;
}

export interface CommandResult {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface CommandOptions {
  /** Added to this process's own; undefined takes a variable away. */
  env?: Record<string, string | undefined>;
  cwd?: string;
  stdin?: string;
}

/** Runs a program to its end and returns what it said, whatever its exit code. */
export async function runCommand(
  command: readonly string[],
  { env, cwd, stdin }: CommandOptions = {},
): Promise<CommandResult> {
  const child = Bun.spawn([...command], {
    env: { ...inherited(), ...env },
    ...(cwd !== undefined && { cwd }),
    stdin: stdin === undefined ? "ignore" : new TextEncoder().encode(stdin),
    stdout: "pipe",
    stderr: "pipe",
  });
  const [code, stdout, stderr] = await Promise.all([
    child.exited,
    child.stdout.text(),
    child.stderr.text(),
  ]);
  return { code, stdout, stderr };
}

/**
 * Runs a program that has to succeed and returns its standard output without the last newline.
 * @throws with all that it said, where it exits with another code than 0
 */
export async function runChecked(
  command: readonly string[],
  options: CommandOptions = {},
): Promise<string> {
  const { code, stdout, stderr } = await runCommand(command, options);
  if (code !== 0) {
    throw new Error(`${command.join(" ")} exited with ${code}:\n${stdout}${stderr}`);
  }
  return stdout.replace(/\n$/, "");
}

/**
 * Our environment without the settings of whoever runs this, and without the trace of
 * `bun test --no-orphans`, which would bind every program that is built with Bun too.
 */
function inherited(): Record<string, string | undefined> {
  const names = Object.keys(process.env).filter((name) => !name.startsWith("OCIREG_"));
  return {
    ...Object.fromEntries(names.map((name) => [name, process.env[name]])),
    BUN_FEATURE_FLAG_NO_ORPHANS: undefined,
  };
}

const running = new Set<Bun.Subprocess>();
// What serves doesn't outlive who started it. (`bun test` has --no-orphans for this.)
process.on("exit", () => {
  for (const child of running) child.kill();
});

export interface RunningProgram {
  readonly pid: number;
  /** What `ready` captured in the line that said so. */
  readonly ready: string;
  /** Sends SIGTERM, after five seconds SIGKILL, and returns the exit code. */
  stop(): Promise<number>;
  /** Everything that it has said so far, on both streams. */
  output(): string;
}

/**
 * Starts a program and waits for the line of its output that matches `ready`.
 * @throws with all that it said, where it ends before
 */
export async function startProgram(
  command: readonly string[],
  ready: RegExp,
  options: CommandOptions = {},
): Promise<RunningProgram> {
  const child = Bun.spawn([...command], {
    env: { ...inherited(), ...options.env },
    ...(options.cwd !== undefined && { cwd: options.cwd }),
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  running.add(child);
  let output = "";
  const found = Promise.withResolvers<string>();
  const follow = async (stream: ReadableStream<Uint8Array>) => {
    const decoder = new TextDecoder();
    for await (const chunk of stream) {
      output += decoder.decode(chunk, { stream: true });
      const match = ready.exec(output);
      if (match) found.resolve(match[1] ?? match[0]);
    }
  };
  const ended = Promise.all([follow(child.stdout), follow(child.stderr), child.exited]);
  ended.then(() => {
    running.delete(child);
    found.reject(new Error(`${command.join(" ")} ended early:\n${output}`));
  });
  return {
    pid: child.pid,
    ready: await found.promise,
    output: () => output,
    async stop() {
      child.kill("SIGTERM");
      const deadline = setTimeout(() => child.kill("SIGKILL"), 5000);
      const code = await child.exited;
      clearTimeout(deadline);
      return code;
    },
  };
}
