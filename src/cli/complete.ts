/** Answers the completion scripts: `ocireg __complete WORD…`, the last word being unfinished. */
import { proposeCompletions } from "@stricli/core";
import { oneLine } from "../lib/one-line.ts";
import { application } from "./application.ts";
import type { Context } from "./context.ts";

/** Prints one proposal a line, a tab, and what it means. */
export async function complete(words: readonly string[], context: Context): Promise<void> {
  const proposals = await proposeCompletions(application, words, context);
  const asksForFlag = words.at(-1)?.startsWith("-") ?? false;
  const lines = proposals
    .filter(({ completion }) => completion !== "--" && (asksForFlag || completion[0] !== "-"))
    .map(({ completion, brief }) => `${completion}\t${oneLine(brief)}\n`);
  await context.stdout.write(lines.join(""));
}
