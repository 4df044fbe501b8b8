/** Several transfers at a time, of which the first that fails ends the others. */
import { mapConcurrently } from "../lib/pool.ts";

/**
 * Runs `task` over `items`, at most `limit` at a time. Its signal aborts when the caller's does, or
 * when another task has failed, and what is thrown is what failed first.
 */
export async function transferAll<T, R>(
  items: readonly T[],
  limit: number,
  signal: AbortSignal | undefined,
  task: (item: T, signal: AbortSignal) => Promise<R>,
): Promise<R[]> {
  const failed = new AbortController();
  const either = signal ? AbortSignal.any([signal, failed.signal]) : failed.signal;
  try {
    return await mapConcurrently(items, limit, async (item) => {
      try {
        either.throwIfAborted();
        return await task(item, either);
      } catch (error) {
        failed.abort(error);
        throw error;
      }
    });
  } catch (error) {
    throw failed.signal.aborted ? failed.signal.reason : error;
  }
}
