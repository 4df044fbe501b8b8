import { jsonText, oneLine } from "../lib/one-line.ts";

/** A line of `--log-format json`. */
export function jsonLine(
  level: string,
  message: string,
  properties: Readonly<Record<string, unknown>> = {},
  timestamp = Date.now(),
): string {
  const own = { time: new Date(timestamp).toISOString(), level, message: oneLine(message) };
  // First in order, and no property takes their place.
  return `${jsonText({ ...own, ...properties, ...own })}\n`;
}

/** A line of `--log-format text`: `2025-11-21T10:00:00.000Z info GET /v2/ 200 …`. */
export function textLine(level: string, message: string, timestamp = Date.now()): string {
  return `${new Date(timestamp).toISOString()} ${level} ${oneLine(message)}\n`;
}
