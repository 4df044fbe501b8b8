/** Errors for people: one line, and the stack only for who asks for it. */
import { oneLine } from "../../lib/one-line.ts";
import { isDiskError, isForeseen } from "../exit.ts";

/** What went wrong, on one line. */
export function renderError(error: unknown): string {
  const text = oneLine(error instanceof Error ? error.message : String(error));
  if (isDiskError(error)) return `the local disk refuses: ${text}`;
  return isForeseen(error) ? text : `unexpected error: ${text}`;
}

/** Where it went wrong: the stacks of the error and of its causes, on many lines. */
export function renderStacks(error: unknown): string {
  const parts: string[] = [];
  for (let cause = error; cause instanceof Error && parts.length < 10; cause = cause.cause) {
    parts.push(`${parts.length > 0 ? "caused by: " : ""}${cause.stack ?? cause.message}`);
  }
  return parts.join("\n");
}
