/** Runs one command line: from the words that were typed to the exit code. */
import type { Writable } from "node:stream";
import { ExitCode, run as runApplication } from "@stricli/core";
import type { Environment } from "../config/load.ts";
import { flagName, settingNames, settingSchema } from "../config/schema.ts";
import { application } from "./application.ts";
import { type Context, Stopped } from "./context.ts";
import { EXIT_DONE, EXIT_UNEXPECTED, EXIT_USAGE, exitCodeOf, isForeseen } from "./exit.ts";
import { jsonLine } from "./log-line.ts";
import { BrokenPipe, Output } from "./output.ts";
import { renderError, renderStacks } from "./render/error.ts";
import { ErrorOutput, type ErrorStream } from "./stderr.ts";
import type { Terminal } from "./terminal.ts";

/** What the process gives to a command. */
export interface World {
  readonly stdout: Writable;
  readonly stderr: ErrorStream;
  readonly stdin: () => ReadableStream<Uint8Array>;
  /** Where a person can be asked; without one, nobody is there. */
  readonly terminal?: () => Terminal | undefined;
  readonly env: Environment;
  readonly signal: AbortSignal;
  /** Registers what has to be done when the process ends before the command does. */
  readonly onExit?: (leave: () => void) => void;
}

/** Resolves with the exit code; whatever went wrong has then been said on stderr. */
export async function run(words: readonly string[], world: World): Promise<number> {
  const printed: string[] = [];
  const complaints: string[] = [];
  const context: Context = {
    process: {
      stdout: { write: (text) => void printed.push(text) },
      stderr: { write: (text) => void complaints.push(text) },
    },
    stdout: new Output(world.stdout),
    stderr: new ErrorOutput(world.stderr, world.env["TERM"] !== "dumb"),
    stdin: world.stdin,
    terminal: world.terminal ?? (() => undefined),
    env: world.env,
    signal: world.signal,
    log: { logLevel: "info", logFormat: "text" },
    ran: false,
    failure: undefined,
  };
  world.onExit?.(() => context.stderr.status([]));
  try {
    await dispatch(words, context);
    // The application's own output is help and the version.
    for (const text of printed) await context.stdout.write(text);
  } catch (error) {
    context.failure ??= error;
  }
  context.stderr.status([]);
  context.stderr.flush();
  if (context.failure !== undefined) return report(context);
  if (context.ran || printed.length > 0) return EXIT_DONE;
  // One complaint is enough: the others often follow from it.
  context.stderr.write(`ocireg: ${complaints[0]?.trim() ?? incomplete(words)}\n`);
  return context.process.exitCode === ExitCode.CommandLoadError ? EXIT_UNEXPECTED : EXIT_USAGE;
}

async function dispatch(words: readonly string[], context: Context): Promise<void> {
  if (words[0] === "__complete") {
    const { complete } = await import("./complete.ts");
    context.ran = true;
    await complete(spellOut(words.slice(1)), context);
  } else {
    await runApplication(application, words.length === 0 ? ["--help"] : spellOut(words), context);
  }
}

/** A group of commands, as in `ocireg manifest`, does nothing by itself. */
function incomplete(words: readonly string[]): string {
  return `'ocireg ${words.join(" ")}' needs a subcommand; see 'ocireg help ${words.join(" ")}'`;
}

/** Says why the command failed. */
function report({ failure, log, signal, stderr }: Context): number {
  // After an interruption, whatever failed did so because of it.
  const error = signal.aborted && !(failure instanceof BrokenPipe) ? signal.reason : failure;
  const code = exitCodeOf(error);
  if (error instanceof BrokenPipe || failure instanceof Stopped) return code;
  const debug = log.logLevel === "debug";
  const message = renderError(error);
  if (log.logFormat === "json") {
    stderr.write(jsonLine("error", message, debug ? { stack: renderStacks(failure) } : {}));
  } else {
    const hint = isForeseen(error) || debug ? "" : "; --log-level debug shows where";
    stderr.write(`ocireg: ${message}${hint}\n${debug ? `${renderStacks(failure)}\n` : ""}`);
  }
  return code;
}

const standAlone = new Set(
  settingNames
    .filter((name) => settingSchema(name).notation.optionalValue)
    .map((name) => `--${flagName(name)}`),
);

/**
 * Gives flags that may stand alone their value, so that `--plain-http REF` doesn't swallow REF.
 * Another value needs the form `--plain-http=HOST`.
 */
function spellOut(words: readonly string[]): string[] {
  const escaped = words.indexOf("--");
  return words.map((word, index) =>
    standAlone.has(word) && (escaped < 0 || index < escaped) ? `${word}=true` : word,
  );
}
