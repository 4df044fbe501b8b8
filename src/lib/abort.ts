/** Waiting that a signal can end. */

/**
 * `promise`, or the signal's reason as soon as it aborts. What the promise stands for goes on: this
 * is for one of many waiters who goes away.
 *
 * @throws the signal's reason
 */
export async function untilAborted<T>(promise: Promise<T>, signal?: AbortSignal): Promise<T> {
  if (!signal) return promise;
  let stop = () => {};
  const aborted = new Promise<never>((_, reject) => {
    stop = () => reject(signal.reason);
    if (signal.aborted) stop();
    else signal.addEventListener("abort", stop, { once: true });
  });
  try {
    return await Promise.race([promise, aborted]);
  } finally {
    signal.removeEventListener("abort", stop);
    // When the abort came first, nobody else hears of the promise's failure.
    promise.catch(() => {});
  }
}

/**
 * Resolves after `milliseconds`, without leaving a timer behind when the signal aborts.
 *
 * @throws the signal's reason
 */
export async function delay(milliseconds: number, signal?: AbortSignal): Promise<void> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  try {
    await untilAborted(
      new Promise<void>((resolve) => {
        timer = setTimeout(resolve, milliseconds);
      }),
      signal,
    );
  } finally {
    clearTimeout(timer);
  }
}
