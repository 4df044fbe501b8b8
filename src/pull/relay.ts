/** A blob on its way from one registry to another: hashed as it passes, and never on disk. */
import { delay } from "../lib/abort.ts";
import { Failure } from "../lib/failure.ts";
import { backoffDelay } from "../lib/retry.ts";
import { algorithmOf, createHasher, finishDigest, type Hasher } from "../oci/digest.ts";
import { formatRepository, type Repository } from "../oci/reference.ts";
import type { RegistryClient, StreamedBlob } from "../registry/client.ts";
import type { BlobId } from "./blobs.ts";

export interface RelayOptions {
  readonly client: RegistryClient;
  readonly source: Repository;
  readonly signal?: AbortSignal | undefined;
  /** Hears that the source broke off, and when it is asked for the rest. */
  readonly onRetry?: ((attempt: number, delay: number, reason: string) => void) | undefined;
}

/** Times in a row that the source may break off without having sent anything. */
const MAX_ATTEMPTS = 5;
/** Bytes between two states of the hash that are kept, so that less has to be read again. */
const CHECKPOINT_INTERVAL = 16 * 1024 * 1024;

/** What the hash was after the first `position` bytes. */
interface Checkpoint {
  readonly position: number;
  readonly hasher: Hasher;
}

/**
 * The content of a blob, read from its registry. When the source breaks off, the rest is asked for;
 * when the other side does, the content is read again from where that side is. The last bytes are
 * only passed on when all of them have the right digest.
 *
 * @throws {Failure} from its streams: `content` where the source sends something else; `network`
 *   where it can't be reached any more
 */
export class Relay implements StreamedBlob {
  readonly size: number;
  readonly #checkpoints: Checkpoint[];
  #current: Reading | undefined;

  constructor(
    readonly blob: BlobId,
    readonly options: RelayOptions,
  ) {
    this.size = blob.size;
    this.#checkpoints = [{ position: 0, hasher: createHasher(algorithmOf(blob.digest)) }];
  }

  open(start: number, end: number): ReadableStream<Uint8Array> {
    // Two at once would mix up their states of the hash.
    this.#current?.close();
    while (this.#lastCheckpoint().position > start) this.#checkpoints.pop();
    const { position, hasher } = this.#lastCheckpoint();
    const reading = new Reading(this.blob, end, position, hasher.copy(), this.options);
    this.#current = reading;
    return new ReadableStream<Uint8Array>(
      {
        pull: async (controller) => {
          let wanted: Uint8Array = new Uint8Array();
          while (reading.position < end && wanted.byteLength === 0) {
            const chunk = await reading.next();
            this.#remember(reading, end);
            // What lies between the checkpoint and the start is only read for the hash.
            const skipped = start - (reading.position - chunk.byteLength);
            wanted = chunk.subarray(Math.max(0, skipped));
          }
          const isAll = reading.position === this.size && position < this.size;
          if (isAll || this.size === 0) reading.verify();
          if (wanted.byteLength > 0) controller.enqueue(wanted);
          if (reading.position < end) return;
          // At once: nobody may ask again, who knows how much there is.
          reading.close();
          controller.close();
        },
        cancel: () => reading.close(),
      },
      { highWaterMark: 0 },
    );
  }

  #remember({ position, hasher }: Reading, end: number): void {
    const last = this.#lastCheckpoint().position;
    // Where a chunk ends, the next one begins.
    if (position < this.size && (position === end || position - last >= CHECKPOINT_INTERVAL)) {
      this.#checkpoints.push({ position, hasher: hasher.copy() });
    }
  }

  #lastCheckpoint(): Checkpoint {
    return this.#checkpoints.at(-1) as Checkpoint;
  }
}

const readerOf = (stream: ReadableStream<Uint8Array>) => stream.getReader();
type Reader = ReturnType<typeof readerOf>;

/** One pass over the source, up to `end`. */
class Reading {
  #reader: Reader | undefined;
  readonly #ended = new AbortController();

  constructor(
    readonly blob: BlobId,
    readonly end: number,
    /** Of the next byte. */
    public position: number,
    /** Of all bytes before that. */
    readonly hasher: Hasher,
    readonly options: RelayOptions,
  ) {
    const { signal } = options;
    signal?.addEventListener("abort", this.#onAbort, { once: true });
    if (signal?.aborted) this.#onAbort();
  }

  /** The next bytes. Asks again for what is missing when the source breaks off. */
  async next(): Promise<Uint8Array> {
    for (let attempt = 1; ; attempt++) {
      try {
        return await this.#read();
      } catch (error) {
        const isMendable = error instanceof Failure && error.kind === "network";
        if (!isMendable || attempt === MAX_ATTEMPTS || this.#signal.aborted) throw error;
        await this.#reader?.cancel().catch(() => {});
        this.#reader = undefined;
        const wait = backoffDelay(attempt);
        this.options.onRetry?.(attempt, wait, error.message);
        await delay(wait, this.#signal);
      }
    }
  }

  /** @throws {Failure} `content`: what was read hasn't the digest that it should have */
  verify(): void {
    const { digest } = this.blob;
    const actual = finishDigest(algorithmOf(digest), this.hasher);
    if (actual === digest) return;
    const from = formatRepository(this.options.source);
    throw new Failure(
      "content",
      `can't copy blob ${digest} from "${from}": its content has the digest ${actual}; it isn't stored`,
    );
  }

  close(): void {
    // A copy of thousands of blobs has one signal.
    this.options.signal?.removeEventListener("abort", this.#onAbort);
    this.#ended.abort();
    void this.#reader?.cancel().catch(() => {});
  }

  get #signal(): AbortSignal {
    return this.#ended.signal;
  }

  readonly #onAbort = () => this.#ended.abort(this.options.signal?.reason);

  async #read(): Promise<Uint8Array> {
    if (!this.#reader) {
      const { client, source } = this.options;
      const range = { offset: this.position, end: this.end };
      const options = { ...range, verify: false, signal: this.#signal };
      this.#reader = readerOf(await client.openBlob(source, this.blob, options));
    }
    const { done, value } = await this.#reader.read();
    if (done) {
      const from = formatRepository(this.options.source);
      throw new Failure("network", `blob ${this.blob.digest} of "${from}" ended early`);
    }
    this.position += value.byteLength;
    this.hasher.update(value);
    return value;
  }
}
