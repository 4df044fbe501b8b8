/** One request for a part of a blob, as the main thread sees it. */
import type { Failure } from "../../lib/failure.ts";
import type { Download } from "./download.ts";
import type { Extent } from "./extents.ts";
import type { SourceState } from "./source-state.ts";
import type { Thread } from "./threads.ts";

export class Lane {
  /** Up to where its bytes are in the file. */
  position: number;
  /** Where it ends; lower when another lane takes over the rest. */
  end: number;
  /** Up to where nobody else was sent. */
  promised: number;
  readonly startedAt = performance.now();
  lastMoved = performance.now();
  /** Whether bytes were flowing before it, on the connection that it goes on with. */
  isWarm = false;
  /** Ends it; what it has until then still counts. */
  stop: () => void = () => {};
  /** Asks it to end earlier. */
  limit: (end: number) => void = () => {};
  /** Whether it was asked to end earlier, and hasn't answered yet. */
  isYielding = false;

  constructor(
    readonly id: number,
    readonly download: Download,
    /** What it was sent for. */
    public part: Extent,
    readonly source: SourceState,
    readonly thread: Thread,
  ) {
    this.position = part.start;
    this.end = part.end;
    this.promised = part.end;
  }

  /** More comes than was asked for. */
  extend(end: number): void {
    this.part = { start: this.part.start, end };
    this.end = end;
    this.promised = end;
  }

  get isFlowing(): boolean {
    return this.isWarm || this.position > this.part.start;
  }

  /** Bytes that are still to come. */
  get left(): number {
    return this.end - this.position;
  }

  /** Milliseconds that it will still take at its own pace. */
  remaining(now: number): number {
    const moved = this.position - this.part.start;
    return moved === 0 ? Number.POSITIVE_INFINITY : (this.left * (now - this.startedAt)) / moved;
  }
}

/** What became of a lane that didn't get all it was sent for. */
export interface LaneFailure {
  /** In words. */
  readonly reason: string;
  /** What its source answered; absent where it didn't. */
  readonly status?: number | undefined;
  /** What it means for the whole transfer, where it ends that. */
  readonly failure?: Failure;
  /** How often in a row it happens until it does. */
  readonly attempts?: number;
  /** Whether the registry client had no part in it. */
  readonly isDirect?: boolean;
  /** Milliseconds for which its source wants to be left alone. */
  readonly retryAfter?: number | undefined;
}
