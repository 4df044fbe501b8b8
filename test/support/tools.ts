/** External programs that some tests need, and what happens when a machine lacks one. */
import { describe, test } from "bun:test";
import { findTool, requireTool } from "./programs.ts";

/** True where a missing tool fails the run instead of skipping tests. */
export const inContinuousIntegration = process.env["CI"] === "true";

export { findTool, requireTool };

export interface ToolTestOptions {
  /** Milliseconds. @default 60_000 */
  timeout?: number;
}

/**
 * A test that needs programs. Where one is missing the test is a skip that names it, and a failure
 * where `CI=true`.
 */
export function testWith(
  tools: string | readonly string[],
  name: string,
  body: () => void | Promise<void>,
  { timeout = 60_000 }: ToolTestOptions = {},
): void {
  const missing = missingTools(tools);
  if (missing.length === 0) test(name, body, timeout);
  else reportMissing(name, missing);
}

/** A group of tests that need programs; without them it is one skip (or failure) for them all. */
export function describeWith(
  tools: string | readonly string[],
  name: string,
  body: () => void,
): void {
  const missing = missingTools(tools);
  if (missing.length === 0) describe(name, body);
  else reportMissing(name, missing);
}

/** A test that takes minutes or gigabytes: only `scripts/test --long` runs it. */
export function testLong(
  name: string,
  body: () => void | Promise<void>,
  { timeout = 600_000 }: ToolTestOptions = {},
): void {
  if (process.env["OCIREG_TEST_LONG"] === "1") test(name, body, timeout);
}

function missingTools(tools: string | readonly string[]): string[] {
  return [tools].flat().filter((tool) => findTool(tool) === undefined);
}

function reportMissing(name: string, missing: readonly string[]): void {
  const reason = `needs ${missing.join(", ")}`;
  if (inContinuousIntegration) {
    test(name, () => {
      throw new Error(`${reason}, and with CI=true nothing may be skipped`);
    });
  } else {
    // The name carries the reason, because that is all a report of skipped tests shows.
    test.skip(`${name} (skipped: ${reason})`, () => {});
  }
}
