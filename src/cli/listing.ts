/** Lists on standard output, one item a line. */
import { untilAborted } from "../lib/abort.ts";
import { oneLine } from "../lib/one-line.ts";
import type { Context } from "./context.ts";

/** Prints items as they come; an item is from a registry, so that anything may be in it. */
export async function printLines(context: Context, items: AsyncIterable<string>): Promise<void> {
  const iterator = items[Symbol.asyncIterator]();
  for (;;) {
    const next = await untilAborted(iterator.next(), context.signal);
    if (next.done) return;
    await context.stdout.line(oneLine(next.value));
  }
}
