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

/**
 * A signal that aborts some time after another: for what has to be heard to its end even by who is
 * about to leave, if it ends soon.
 */
export class GraceSignal implements Disposable {
  readonly #late = new AbortController();
  readonly #signal: AbortSignal | undefined;
  readonly #milliseconds: number;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(signal: AbortSignal | undefined, milliseconds: number) {
    this.#signal = signal;
    this.#milliseconds = milliseconds;
    signal?.addEventListener("abort", this.#onAbort, { once: true });
    if (signal?.aborted) this.#onAbort();
  }

  get signal(): AbortSignal {
    return this.#late.signal;
  }

  /** Nothing is heard of either signal any more. */
  [Symbol.dispose](): void {
    clearTimeout(this.#timer);
    this.#signal?.removeEventListener("abort", this.#onAbort);
  }

  readonly #onAbort = () => {
    this.#timer = setTimeout(() => this.#late.abort(this.#signal?.reason), this.#milliseconds);
  };
}
