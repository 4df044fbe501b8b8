#!/usr/bin/env bun
/** The entry point: hands the command line, the streams and the signals to the command. */
import { isatty } from "node:tty";
import { Interruption } from "./cli/context.ts";
import { run } from "./cli/run.ts";
import { Terminal } from "./cli/terminal.ts";

const interrupted = new AbortController();
for (const signal of ["SIGINT", "SIGTERM"] as const) {
  process.on(signal, () => {
    // Who asks twice doesn't want to wait.
    if (interrupted.signal.aborted) process.exit(signal === "SIGINT" ? 130 : 143);
    interrupted.abort(new Interruption(signal));
  });
}
process.stderr.on("error", () => {});

process.exit(
  await run(process.argv.slice(2), {
    stdout: process.stdout,
    stderr: process.stderr,
    stdin: () => Bun.stdin.stream(),
    terminal: () =>
      isatty(0) && isatty(2)
        ? new Terminal({ input: process.stdin, output: process.stderr })
        : undefined,
    env: process.env,
    signal: interrupted.signal,
    onExit: (leave) => void process.on("exit", leave),
  }),
);
