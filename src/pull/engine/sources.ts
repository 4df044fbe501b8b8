/**
 * The hosts that a transfer has its blobs from: whom to ask now, and whom not to ask any more. A
 * mirror is given up soon, the registry only where nothing else can be done.
 */
import { Failure } from "../../lib/failure.ts";
import type { Repository } from "../../oci/reference.ts";
import type { RegistryClient } from "../../registry/client.ts";
import type { EventListener } from "../events.ts";
import type { Download } from "./download.ts";
import type { Lane, LaneFailure } from "./lane.ts";
import { SourceState } from "./source-state.ts";

/** In a row; after that the other hosts do without it. */
const MOST_ERRORS_MIRROR = 3;
/** In a row; a stream begins with the first byte each time, and would do so for ever. */
const MOST_FUTILE = 5;

export class Sources {
  #all: readonly SourceState[];
  #lastReason = "";

  constructor(
    private readonly client: RegistryClient,
    private readonly repository: Repository,
    private readonly onEvent: EventListener | undefined,
  ) {
    this.#all = client.blobSources(repository).map((source) => new SourceState(source));
  }

  /** What went wrong last, in words. */
  get lastReason(): string {
    return this.#lastReason || `${this.#all.map(({ name }) => name).join(" and ")} said nothing`;
  }

  /** The first that may be asked for a blob now. */
  next({ excluded }: Download, now: number): SourceState | undefined {
    return this.#all.find((source) => !excluded.has(source) && source.pause(now) === 0);
  }

  /** Whether there is nobody left to ask for a blob. */
  hasLost({ excluded }: Download): boolean {
    return this.#all.every((source) => excluded.has(source));
  }

  /** Does without a source, for a blob, or for all if it is a mirror that is no good. */
  exclude(download: Download, source: SourceState, failure: Failure): void {
    download.excluded.add(source);
    if (source.isMirror) {
      this.client.noteFailure(source.source, this.repository, failure);
      // What a mirror lacks is no reason to do without the rest.
      if (failure.kind !== "not-found") this.#all = this.#all.filter((other) => other !== source);
      return;
    }
    download.refusal = failure;
    if (!this.hasLost(download) && failure.kind !== "not-found") {
      const message = `${failure.message}; going on without ${source.name}`;
      this.onEvent?.({ type: "warning", message });
    }
  }

  /**
   * Draws the conclusions from what ended a lane: its source rests for a while, or isn't asked any
   * more.
   *
   * @returns why it isn't, where that is so
   */
  note(lane: Lane, problem: LaneFailure): Failure | undefined {
    const { reason, status, failure, attempts, retryAfter, isDirect } = problem;
    const { download, source, position, part } = lane;
    const now = performance.now();
    const said = reason.includes(source.name) ? reason : `${source.name}: ${reason}`;
    this.#lastReason = failure?.message ?? said;
    const hasMoved = position > part.start && (!download.isStream || download.streamed(position));
    // What a host says to a bare request, the client may know an answer to.
    const isHarmless = hasMoved || (isDirect && status !== undefined);
    const { failures, delay } = isHarmless
      ? { failures: 1, delay: 0 }
      : source.failed(now, retryAfter);
    const isFinal = source.isMirror
      ? failures >= MOST_ERRORS_MIRROR
      : attempts !== undefined && ++download.refusals >= attempts;
    const patience = source.isMirror ? 0 : this.client.limits.connectTimeout;
    if (download.futile >= MOST_FUTILE) {
      download.futile = 0;
      const what = `it broke off ${MOST_FUTILE} times, no further than before`;
      return new Failure("network", `can't get blob ${download.digest}: ${what}: ${said}`);
    }
    const isOut = isFinal || source.isUnreachable(now + delay, patience);
    if (isOut && (failure || source.isMirror)) {
      return failure ?? new Failure("network", this.#lastReason);
    }
    if (isHarmless && isDirect && status !== undefined) return undefined;
    const event = { attempt: failures, delay: Math.round(delay), reason: this.#lastReason };
    this.onEvent?.({ type: "retry", ...event });
    return undefined;
  }
}
