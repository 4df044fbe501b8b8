/** The digest of a blob, computed while its bytes arrive: from memory, or read back from its file. */
import { readSync } from "node:fs";
import { createHasher, type Digest, finishDigest } from "../../oci/digest.ts";

/** Bytes that are read at once, and that are read before others get a turn. */
const READ = 256 * 1024;
const TURN = 4 * 1024 * 1024;

export class Hashing {
  readonly #hasher;
  readonly #buffer = new Uint8Array(READ);
  #hashed = 0;
  #readable = 0;
  #isReading = false;

  /**
   * @param onDigest called once, when all `size` bytes are hashed
   * @param onError called when the file can't be read
   */
  constructor(
    private readonly algorithm: string,
    private readonly size: number,
    private readonly file: number,
    private readonly onDigest: (digest: Digest) => void,
    private readonly onError: (error: unknown) => void,
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

  #read(): void {
    try {
      for (let turn = 0; turn < TURN && this.#hashed < this.#readable; turn += READ) {
        const length = Math.min(READ, this.#readable - this.#hashed);
        const count = readSync(this.file, this.#buffer, 0, length, this.#hashed);
        if (count === 0) throw new Error("the file is shorter than it was");
        this.#update(this.#buffer.subarray(0, count));
      }
    } catch (error) {
      this.onError(error);
      return;
    }
    if (this.#hashed < this.#readable) setImmediate(() => this.#read());
    else this.#isReading = false;
  }

  #update(bytes: Uint8Array): void {
    this.#hasher.update(bytes);
    this.#hashed += bytes.byteLength;
    this.#endIfDone();
  }

  #endIfDone(): void {
    if (this.#hashed === this.size) this.onDigest(finishDigest(this.algorithm, this.#hasher));
  }
}
