/** The order in which things are moved. */
import { transferAll } from "./concurrently.ts";

/**
 * {@link transferAll} that begins with the largest items, so that the last one to end is a small
 * one. The results are in the items' order.
 */
export async function transferLargestFirst<T extends { readonly size: number }, R>(
  items: readonly T[],
  limit: number,
  signal: AbortSignal | undefined,
  task: (item: T, signal: AbortSignal) => Promise<R>,
): Promise<R[]> {
  const bySize = [...items.entries()].sort(([, a], [, b]) => b.size - a.size);
  const results = new Array<R>(items.length);
  await transferAll(bySize, limit, signal, async ([index, item], either) => {
    results[index] = await task(item, either);
  });
  return results;
}
