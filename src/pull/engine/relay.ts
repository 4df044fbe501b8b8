/**
 * A lane over the main thread: by way of the registry client, which answers challenges and follows
 * redirects. The first part of every blob comes so, and all of it where nothing else works.
 */
import { delay } from "../../lib/abort.ts";
import { Failure } from "../../lib/failure.ts";
import type { PieceAnswer } from "../../registry/client.ts";
import type { Budget } from "./budget.ts";
import type { Lane } from "./lane.ts";

/** Bytes on their way to the thread that writes them. */
const MAX_UNWRITTEN = 4 * 1024 * 1024;
/** Milliseconds until an overdrawn budget is looked at again. */
const PAUSE = 20;

/** Hands what comes over the main thread to the thread that writes it. */
export class Relay {
  #sent: number;
  #wake: (() => void) | undefined;

  constructor(
    private readonly lane: Lane,
    private readonly budget: Budget | undefined,
    private readonly signal: AbortSignal,
  ) {
    this.#sent = lane.position;
  }

  /** Up to where bytes were handed on, written or not. */
  get sent(): number {
    return this.#sent;
  }

  /** Says that the lane's position has changed, or that its blob is over. */
  moved(): void {
    this.#wake?.();
  }

  /**
   * Passes on a body up to the lane's end, and returns when all of it is written.
   *
   * @throws {Failure} `content`: it is longer or shorter than it should be; whatever the body throws
   */
  async pass(body: (PieceAnswer & { kind: "part" | "whole" })["body"]): Promise<void> {
    const { lane } = this;
    try {
      // Leaving the loop cancels the body.
      for await (const chunk of body) {
        const room = lane.end - this.#sent;
        if (chunk.byteLength > room && lane.end === lane.part.end) throw tooLong(lane);
        this.#send(chunk.byteLength > room ? chunk.slice(0, room) : chunk);
        while (this.budget?.isOverdrawn) await delay(PAUSE, this.signal);
        await this.#written(MAX_UNWRITTEN);
        this.signal.throwIfAborted();
        if (this.#sent >= lane.end && lane.end < lane.part.end) break;
      }
    } finally {
      // Nobody else may write there before these bytes are.
      await this.#written(0);
    }
    if (this.#sent < lane.end) throw tooShort(lane, this.#sent);
  }

  #send(bytes: Uint8Array): void {
    const { download, id, thread } = this.lane;
    if (bytes.byteLength === 0) return;
    const position = this.#sent;
    this.#sent += bytes.byteLength;
    this.budget?.spend(bytes.byteLength);
    thread.send({ type: "write", job: download.job, lane: id, position, bytes });
  }

  /** Waits until no more than `most` bytes are unwritten, unless none will be. */
  async #written(most: number): Promise<void> {
    while (this.#sent - this.lane.position > most && !this.lane.download.isOver) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }
}

function tooLong({ source, download }: Lane): Failure {
  return new Failure(
    "content",
    `can't get blob ${download.digest}: ${source.name} sent more than its ${download.blob.size} bytes`,
  );
}

function tooShort({ source, download, part }: Lane, sent: number): Failure {
  return new Failure(
    "network",
    `can't get blob ${download.digest}: ${source.name} ended after ${sent - part.start} of ${part.end - part.start} bytes`,
  );
}
