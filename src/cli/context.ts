/** What a command may touch of the world around it. Tests bring a world of their own. */
import type { CommandContext, StricliProcess } from "@stricli/core";
import type { Environment } from "../config/load.ts";
import type { Output } from "./output.ts";
import type { ErrorOutput } from "./stderr.ts";
import type { Terminal } from "./terminal.ts";

/** How messages look on stderr. */
export interface LogSettings {
  readonly logLevel: "debug" | "info" | "warning" | "error";
  readonly logFormat: "text" | "json";
}

export interface Context extends CommandContext {
  readonly process: StricliProcess;
  /** The result, and nothing else. */
  readonly stdout: Output;
  /** Everything else. */
  readonly stderr: ErrorOutput;
  readonly stdin: () => ReadableStream<Uint8Array>;
  /** Undefined where nobody is there to answer. */
  readonly terminal: () => Terminal | undefined;
  readonly env: Environment;
  /** Aborted, with an {@link Interruption} as its reason, when the process is told to stop. */
  readonly signal: AbortSignal;
  /** Known as soon as the settings are. */
  log: LogSettings;
  /** Whether a command was found and its function called. */
  ran: boolean;
  /** Why the command failed, if it did. */
  failure: unknown;
}

/** Thrown by a command that runs until it is interrupted: it has stopped as it was asked to. */
export class Stopped extends Error {
  override readonly name = "Stopped";
}

/** The reason of an abort by a signal of the operating system. */
export class Interruption extends Error {
  override readonly name = "Interruption";
  constructor(readonly signal: "SIGINT" | "SIGTERM") {
    super(signal === "SIGINT" ? "interrupted" : "terminated");
  }
}
