import type { BlobId } from "./blobs.ts";
import type { Receiver } from "./transfer.ts";

/**
 * The blobs of a pull on their way. They may set out before there is anybody to receive them: a
 * process that waits for another one to make its view fetches along meanwhile.
 */
export class Delivery {
  private arrived: BlobId[] = [];
  private receiver: Receiver | undefined;
  private running: Promise<void> | undefined;
  private ended = new AbortController();

  /** @param fetch fetches all blobs, and gives each to `receive` */
  constructor(private readonly fetch: (receive: Receiver, signal: AbortSignal) => Promise<void>) {}

  /** Begins, unless it has begun. @returns when all have arrived */
  start(): Promise<void> {
    const receive: Receiver = async (blob, signal) => {
      this.arrived.push(blob);
      await this.receiver?.(blob, signal);
    };
    this.running ??= this.fetch(receive, this.ended.signal);
    return this.running;
  }

  /**
   * Gives every blob to `receiver`, those that have arrived already first. When it fails, nothing is
   * under way any more, and another call begins anew.
   */
  async to(receiver: Receiver): Promise<void> {
    const earlier = this.arrived.map((blob) => receiver(blob, this.ended.signal));
    this.receiver = receiver;
    const tasks = [this.start(), ...earlier];
    try {
      await Promise.all(tasks);
    } catch (error) {
      this.ended.abort(error);
      await Promise.allSettled(tasks);
      this.ended = new AbortController();
      this.running = undefined;
      this.arrived = [];
      throw error;
    } finally {
      this.receiver = undefined;
    }
  }

  /** Returns when nothing is under way, however it ended; with a reason, it is ended. */
  async settle(reason?: unknown): Promise<void> {
    if (reason !== undefined) this.ended.abort(reason);
    await this.running?.catch(() => {});
  }
}
