/** Drives the compiled executable as a person or a script would. */
import { compiledBinary } from "../support/binary.ts";
import { type CommandOptions, type CommandResult, runCommand } from "../support/programs.ts";
import { temporaryDirectory } from "../support/temp.ts";

/** The settings and credentials of whoever runs the tests stay out of them. */
export function cleanEnvironment(): Record<string, string | undefined> {
  const ours = Object.keys(process.env).filter((name) =>
    /^(OCIREG_|DOCKER_|XDG_|VLLM_|AWS_|AZURE_|GOOGLE_|GCE_)/.test(name),
  );
  return {
    ...Object.fromEntries(ours.map((name) => [name, undefined])),
    REGISTRY_AUTH_FILE: undefined,
    HOME: temporaryDirectory(),
  };
}

/** Runs one command to its end. */
export async function ocireg(
  words: readonly string[],
  options: CommandOptions = {},
): Promise<CommandResult> {
  const env = { ...cleanEnvironment(), ...options.env };
  return runCommand([await compiledBinary(), ...words], { ...options, env });
}

export interface Served {
  /** `127.0.0.1:<port>` */
  readonly host: string;
  readonly url: string;
  readonly root: string;
  readonly pid: number;
  /** Everything that it has said on stderr. */
  stderr(): string;
  stdout(): string;
  kill(signal: "SIGTERM" | "SIGINT" | "SIGKILL"): void;
  /** Resolves with the exit code. */
  readonly exited: Promise<number>;
  /** Ends it, however it is. */
  stop(): Promise<void>;
}

/** Starts `ocireg serve` on a free port and waits until it says where it is. */
export async function startServe(
  words: readonly string[] = [],
  options: CommandOptions = {},
): Promise<Served> {
  const root = temporaryDirectory();
  const address = words.includes("--addr") ? [] : ["--addr", "127.0.0.1:0"];
  const child = Bun.spawn([await compiledBinary(), "serve", "--root", root, ...address, ...words], {
    env: { ...process.env, ...cleanEnvironment(), ...options.env },
    cwd: options.cwd ?? root,
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  const said = { stdout: "", stderr: "" };
  const ready = Promise.withResolvers<string>();
  const follow = async (name: "stdout" | "stderr") => {
    for await (const chunk of child[name].pipeThrough(new TextDecoderStream())) {
      said[name] += chunk;
      const url = /(https?:\/\/[^\s"]+)["\s]/.exec(said.stderr)?.[1];
      if (url) ready.resolve(url);
    }
  };
  const ended = Promise.all([follow("stdout"), follow("stderr"), child.exited]);
  ended.then(() => ready.reject(new Error(`serve ended early: ${said.stderr}`)));
  const url = await ready.promise;
  return {
    host: new URL(url).host,
    url,
    root,
    pid: child.pid,
    stderr: () => said.stderr,
    stdout: () => said.stdout,
    kill: (signal) => child.kill(signal),
    exited: ended.then(([, , code]) => code),
    async stop() {
      child.kill("SIGKILL");
      await ended;
    },
  };
}
