/** One blob on its way: what of it is here, what is being fetched, and where the rest can be had. */
import type { Failure } from "../../lib/failure.ts";
import { algorithmOf, type Digest } from "../../oci/digest.ts";
import type { DirectRoute, PieceAnswer } from "../../registry/client.ts";
import type { WantedBlob } from "../transfer.ts";
import { type Extent, Extents } from "./extents.ts";
import type { Lane } from "./lane.ts";
import type { PartialBlob } from "./partial.ts";
import type { SourceState } from "./source-state.ts";
import type { Thread } from "./threads.ts";

/** Bytes between two notes to the thread that hashes. */
const ADVANCE_INTERVAL = 1024 * 1024;
/**
 * Bytes that may wait to be hashed. More would be fetched faster than they can be verified, and be
 * out of the page cache when it is their turn.
 */
const MAX_BACKLOG = 64 * 1024 * 1024;
/** Bytes by which a stream has to come further than any before it to be worth having been read. */
const MIN_GAIN = 1024 * 1024;

export class Download {
  /** What nobody has been sent for. */
  todo: Extents;
  readonly lanes = new Set<Lane>();
  /** Sources that have given something of what is here. */
  readonly givers = new Set<SourceState>();
  /** Sources that can't give it. */
  readonly excluded = new Set<SourceState>();
  /** The direct way to further parts, once a source has shown it. */
  route: { readonly source: SourceState; readonly direct: DirectRoute } | undefined;
  /** Why the registry itself can't give it. */
  refusal: Failure | undefined;
  /** What each source knows the content by. */
  readonly validators = new Map<SourceState, string>();
  /** Whether the first request, which shows how to go on, is on its way. */
  isProbing = false;
  /** Whether parts can only be had over the main thread: their way leads over a proxy. */
  isIndirect = false;
  /** Whether only all of it can be asked for. */
  isStream = false;
  /** Whether it begins anew as soon as its lanes have ended. */
  isRestarting = false;
  /** Whether it is being emptied for that. */
  isBeginning = false;
  /** Up to where it is hashed. */
  hashed = 0;
  /** How often it was refused since bytes have come. */
  refusals = 0;
  /** How often what came had another digest. */
  mismatches = 0;
  /** Whether some of it is from an earlier run. */
  isInherited: boolean;
  /** Streams in a row that ended no further than one before them. */
  futile = 0;
  #furthest = 0;
  readonly #settled = Promise.withResolvers<void>();
  #threads = new Set<Thread>();
  #advanced = 0;
  /** Bytes that have come in this run. */
  #fetched = 0;
  /** Whether it has succeeded or failed. */
  isOver = false;
  readonly #backlog: number;

  constructor(
    readonly blob: WantedBlob,
    readonly partial: PartialBlob,
    /** Hashes it. */
    readonly home: Thread,
    /** By which the threads know it; another one after each new beginning. */
    public job: number,
    private readonly onBytes: (count: number) => void,
  ) {
    this.todo = new Extents(partial.written.missing(blob.size));
    this.isInherited = !partial.written.isEmpty;
    this.#backlog = Math.max(MAX_BACKLOG, partial.written.front);
    this.home.load++;
    this.openOn(home);
    this.#advance();
  }

  get settled(): Promise<void> {
    return this.#settled.promise;
  }

  /** Makes the blob known to a thread that gets lanes of it. */
  openOn(thread: Thread): void {
    if (this.#threads.has(thread)) return;
    this.#threads.add(thread);
    const { digest, size } = this.blob;
    const { job } = this;
    const algorithm = thread === this.home ? { algorithm: algorithmOf(digest) } : {};
    thread.send({ type: "open", job, path: this.partial.path, size, ...algorithm });
  }

  /** Whether a lane can be sent for a part. */
  get hasWork(): boolean {
    if (this.isOver || this.isRestarting || this.isProbing || this.todo.isEmpty) return false;
    return this.partial.written.front - this.hashed <= this.#backlog;
  }

  /** Notes how a source answered: what it knows the content by, and how to go on. */
  learn(
    source: SourceState,
    answer: Pick<PieceAnswer & { kind: "part" }, "validator" | "direct">,
  ): void {
    const { validator, direct } = answer;
    if (validator !== undefined && !this.validators.has(source)) {
      this.validators.set(source, validator);
    }
    if (direct) this.route = { source, direct };
    else this.isIndirect = true;
  }

  /** The next part to fetch. */
  take(length: number): Extent | undefined {
    return this.todo.take(this.isStream ? this.blob.size : length);
  }

  /** Notes what a lane has written. */
  note(start: number, end: number): void {
    this.partial.note(start, end);
    this.#fetched += end - start;
    this.onBytes(end - start);
    this.refusals = 0;
    this.#advance();
  }

  /** Begins anew, with nothing. No lane may be left. */
  async restart(job: number): Promise<void> {
    this.#closeOnThreads();
    await this.partial.discard();
    this.job = job;
    this.todo = new Extents(this.partial.written.missing(this.blob.size));
    this.route = undefined;
    this.validators.clear();
    this.givers.clear();
    this.isInherited = false;
    this.onBytes(-this.#fetched);
    this.#fetched = 0;
    this.isRestarting = false;
    this.#advanced = 0;
    this.hashed = 0;
    this.openOn(this.home);
  }

  /** Notes that a stream ended at `position`. @returns whether that is further than ever */
  streamed(position: number): boolean {
    const isFurther = position >= this.#furthest + MIN_GAIN;
    this.futile = isFurther ? 0 : this.futile + 1;
    this.#furthest = Math.max(this.#furthest, position);
    return isFurther;
  }

  matches(digest: string): boolean {
    return (this.blob.digest as string) === digest;
  }

  /** @param failure undefined when it is complete and verified */
  settle(failure?: unknown): void {
    this.isOver = true;
    if (failure === undefined) this.#settled.resolve();
    else this.#settled.reject(failure);
  }

  /** Lets the threads forget it. No lane may be left. */
  close(): void {
    this.home.load--;
    this.#closeOnThreads();
  }

  get digest(): Digest {
    return this.blob.digest;
  }

  #closeOnThreads(): void {
    for (const thread of this.#threads) thread.send({ type: "close", job: this.job });
    this.#threads = new Set();
  }

  #advance(): void {
    const { front } = this.partial.written;
    if (front - this.#advanced < ADVANCE_INTERVAL && front < this.blob.size) return;
    this.#advanced = front;
    this.home.send({ type: "advance", job: this.job, position: front });
  }
}
