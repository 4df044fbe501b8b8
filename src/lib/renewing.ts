/** What expires: tokens, passwords that live for hours. */
import { untilAborted } from "./abort.ts";

export interface Expiring<T> {
  readonly value: T;
  /** Milliseconds from when it was asked for; without it, it doesn't expire. */
  readonly lifetime?: number | undefined;
}

export interface RenewOptions<T> {
  /** A value that turned out to be of no use: it isn't given again. */
  readonly refused?: T | undefined;
  /** Ends the waiting of one, not what the others wait for. */
  readonly signal?: AbortSignal | undefined;
}

interface Kept<T> {
  readonly value: T;
  /** `performance.now()` from which on another one is fetched. */
  readonly renewAt: number;
}

/** Time for a request to get there: milliseconds, and a part of what lives for a minute or less. */
const MARGIN = 30_000;
const MARGIN_PART = 1 / 4;

/** Values by key, each fetched once for all who wait, and again shortly before it expires. */
export class Renewing<T> {
  readonly #kept = new Map<string, Promise<Kept<T>>>();

  /** @throws what `fetch` throws, which is not kept, and the signal's reason */
  async get(
    key: string,
    fetch: () => Promise<Expiring<T>>,
    { refused, signal }: RenewOptions<T> = {},
  ): Promise<T> {
    for (;;) {
      const pending = this.#kept.get(key);
      if (!pending) break;
      const { value, renewAt } = await untilAborted(pending, signal);
      const isRefused = refused !== undefined && value === refused;
      if (!isRefused && performance.now() < renewAt) return value;
      // Another waiter may have begun to renew it meanwhile.
      if (this.#kept.get(key) === pending) this.#kept.delete(key);
    }
    const fetching = keep(fetch);
    this.#kept.set(key, fetching);
    fetching.catch(() => {
      if (this.#kept.get(key) === fetching) this.#kept.delete(key);
    });
    return (await untilAborted(fetching, signal)).value;
  }
}

async function keep<T>(fetch: () => Promise<Expiring<T>>): Promise<Kept<T>> {
  const asked = performance.now();
  const { value, lifetime = Number.POSITIVE_INFINITY } = await fetch();
  return { value, renewAt: asked + lifetime - Math.min(MARGIN, lifetime * MARGIN_PART) };
}
