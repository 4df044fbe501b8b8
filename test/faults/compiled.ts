/** The compiled executable in the tests of failures. */
import { ocireg } from "../e2e/ocireg.ts";
import type { CommandResult } from "../support/programs.ts";

/** Runs a command without progress; the environment is a clean one. */
export function runOcireg(
  words: readonly string[],
  env: Record<string, string | undefined> = {},
): Promise<CommandResult> {
  return ocireg(words, { env: { OCIREG_PROGRESS: "none", OCIREG_LOG_LEVEL: "error", ...env } });
}
