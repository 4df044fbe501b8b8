/** Log lines on stderr, as text or as JSON, by LogTape. */
import { configureSync, getLogger, type Logger, type LogRecord } from "@logtape/logtape";
import { oneLine } from "../lib/one-line.ts";
import type { Context, LogSettings } from "./context.ts";
import { jsonLine, textLine } from "./log-line.ts";
import type { ErrorOutput } from "./stderr.ts";

/** Sends what is logged from now on to `stderr`. */
export function openLog({ logLevel, logFormat }: LogSettings, stderr: ErrorOutput): void {
  const format = logFormat === "json" ? formatJson : formatText;
  configureSync({
    reset: true,
    sinks: {
      stderr(record) {
        if (record.level === "info" || record.level === "debug") stderr.writeSoon(format(record));
        else stderr.write(format(record));
      },
    },
    loggers: [
      { category: "ocireg", lowestLevel: logLevel, sinks: ["stderr"] },
      { category: ["logtape", "meta"], lowestLevel: "error", sinks: ["stderr"] },
    ],
  });
}

export function logger(): Logger {
  return getLogger("ocireg");
}

/**
 * Says what a person or a script waits for, whatever the log level: `ocireg: serving …`, or as JSON
 * the same with its parts.
 */
export function announce(
  { log, stderr }: Pick<Context, "log" | "stderr">,
  message: string,
  properties: Readonly<Record<string, unknown>>,
): void {
  stderr.write(
    log.logFormat === "json"
      ? jsonLine("info", message, properties)
      : `ocireg: ${oneLine(message)}\n`,
  );
}

function formatText(record: LogRecord): string {
  return textLine(record.level, messageOf(record), record.timestamp);
}

function formatJson(record: LogRecord): string {
  return jsonLine(record.level, messageOf(record), record.properties, record.timestamp);
}

/** What isn't known is null among the properties, and a dash in the text. */
function messageOf({ message }: LogRecord): string {
  return message.map((part) => String(part ?? "-")).join("");
}
