/** What a transfer has learnt of a source: whether it may be asked now, and whether at all. */
import { backoffDelay } from "../../lib/retry.ts";
import type { BlobSource } from "../../registry/client.ts";

export class SourceState {
  #failures = 0;
  #pausedUntil = 0;
  #hasAnswered = false;
  #firstAsked: number | undefined;

  constructor(readonly source: BlobSource) {}

  get name(): string {
    return new URL(this.source.host.origin).host;
  }

  /** Whether there are others: a mirror is given up sooner than the registry. */
  get isMirror(): boolean {
    return !this.source.isOrigin;
  }

  /** Milliseconds from `now` until it may be asked; 0 when it may. */
  pause(now: number): number {
    return Math.max(0, this.#pausedUntil - now);
  }

  asked(now: number): void {
    this.#firstAsked ??= now;
  }

  answered(): void {
    this.#hasAnswered = true;
  }

  /** Bytes have come from it. */
  succeeded(): void {
    this.#hasAnswered = true;
    this.#failures = 0;
  }

  /**
   * Nothing has come.
   *
   * @param asked milliseconds for which it wants to be left alone
   * @returns how often that was so in a row, and the milliseconds until it may be asked again
   */
  failed(now: number, asked = 0): { failures: number; delay: number } {
    // Lanes that fail together are one failure.
    if (this.pause(now) === 0) this.#failures++;
    const delay = Math.max(backoffDelay(this.#failures), asked, this.pause(now));
    this.#pausedUntil = now + delay;
    return { failures: this.#failures, delay };
  }

  /** Whether it has never answered, for longer than one waits for a host on first contact. */
  isUnreachable(now: number, connectTimeout: number): boolean {
    if (this.#hasAnswered || this.#firstAsked === undefined) return false;
    return now - this.#firstAsked > connectTimeout;
  }
}
