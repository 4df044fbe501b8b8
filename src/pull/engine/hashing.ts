/** The digest of a blob, computed while its bytes arrive: from memory, or read back from its file. */
import { readSync } from "node:fs";
import { createHasher, type Digest, finishDigest } from "../../oci/digest.ts";

/** Bytes that are read at once, and that are read before others get a turn. */
const READ = 256 * 1024;
const TURN = 4 * 1024 * 1024;
/** Bytes between two words about how far it is. */
const REPORT_INTERVAL = 8 * 1024 * 1024;

export interface HashingListener {
  /** Up to where the blob is hashed. */
  progress(position: number): void;
  /** All of it is. */
  digest(digest: Digest): void;
  /** The file can't be read. */
  error(error: unknown): void;
}

export class Hashing {
  readonly #hasher;
  readonly #buffer = new Uint8Array(READ);
  #hashed = 0;
  #readable = 0;
  #reported = 0;
  #isReading = false;
  #isStopped = false;

  constructor(
    private readonly algorithm: string,
    private readonly size: number,
    private readonly file: number,
    private readonly listener: HashingListener,
  ) {
    this.#hasher = createHasher(algorithm);
    this.#endIfDone();
  }

  /** Takes bytes from memory if they are the next ones; else they are read later. */
  offer(position: number, bytes: Uint8Array): void {
    if (position !== this.#hashed) return;
    this.#update(bytes);
  }

  /** Says that everything up to `position` is in the file. */
  advance(position: number): void {
    this.#readable = Math.max(this.#readable, position);
    if (this.#isReading) return;
    this.#isReading = true;
    this.#read();
  }

  /** Reads no more of the file, which may be closed then. */
  stop(): void {
    this.#isStopped = true;
  }

  #read(): void {
    if (this.#isStopped) return;
    try {
      for (let turn = 0; turn < TURN && this.#hashed < this.#readable; turn += READ) {
        const length = Math.min(READ, this.#readable - this.#hashed);
        const count = readSync(this.file, this.#buffer, 0, length, this.#hashed);
        if (count === 0) throw new Error("the file is shorter than it was");
        this.#update(this.#buffer.subarray(0, count));
      }
    } catch (error) {
      this.listener.error(error);
      return;
    }
    if (this.#hashed < this.#readable) setImmediate(() => this.#read());
    else this.#isReading = false;
  }

  #update(bytes: Uint8Array): void {
    this.#hasher.update(bytes);
    this.#hashed += bytes.byteLength;
    if (this.#hashed - this.#reported >= REPORT_INTERVAL) {
      this.#reported = this.#hashed;
      this.listener.progress(this.#hashed);
    }
    this.#endIfDone();
  }

  #endIfDone(): void {
    if (this.#hashed < this.size) return;
    this.listener.digest(finishDigest(this.algorithm, this.#hasher));
  }
}
