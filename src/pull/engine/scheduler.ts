/**
 * Keeps the link busy: takes parts of the blobs that are being fetched, the next one first, and sends
 * lanes for them, over all blobs together as many as the link rewards.
 */
import { formatDuration } from "../../lib/duration.ts";
import { Failure } from "../../lib/failure.ts";
import type { Repository } from "../../oci/reference.ts";
import type { PieceAnswer, RegistryClient } from "../../registry/client.ts";
import type { EventListener } from "../events.ts";
import type { WantedBlob } from "../transfer.ts";
import { Download } from "./download.ts";
import type { Lane, LaneFailure } from "./lane.ts";
import { type LaneListener, Lanes } from "./lanes.ts";
import type { PartialBlob } from "./partial.ts";
import type { Report } from "./protocol.ts";
import type { SourceState } from "./source-state.ts";
import { Sources } from "./sources.ts";
import { findTakeover } from "./takeover.ts";
import { judge } from "./verdict.ts";
import { Width } from "./width.ts";

/** Bytes of a part: small, so that hashing stays close behind what comes. */
const PART = 8 * 1024 * 1024;
/** Lanes that a transfer begins with. */
const INITIAL_LANES = 2;
/** Blobs that are open at a time. */
const MOST_DOWNLOADS = 64;
/** Milliseconds. */
const TICK = 100;
/** Between two ticks: then the process was stopped, and nothing could move. */
const STOPPED = 2000;

export interface SchedulerOptions {
  readonly client: RegistryClient;
  readonly repository: Repository;
  readonly onEvent?: EventListener | undefined;
}

export class Scheduler implements Disposable, LaneListener {
  readonly #downloads = new Set<Download>();
  readonly #lanes: Lanes;
  readonly #sources: Sources;
  readonly #width: Width;
  readonly #timer: ReturnType<typeof setInterval>;
  #nextJob = 1;
  /** Bytes since the last tick. */
  #moved = 0;
  #lastProgress = performance.now();
  #lastTick = performance.now();
  #change = Promise.withResolvers<void>();

  constructor(private readonly options: SchedulerOptions) {
    const { client, repository, onEvent } = options;
    this.#lanes = new Lanes(client, repository, this);
    this.#sources = new Sources(client, repository, onEvent);
    this.#width = new Width(client.limits.maxConnections, INITIAL_LANES);
    this.#timer = setInterval(() => this.#tick(), TICK);
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
    this.#lanes[Symbol.dispose]();
  }

  /** Returns when another blob would be of use. @throws the signal's reason */
  async wantsMore(signal: AbortSignal): Promise<void> {
    while (!this.#isHungry()) {
      signal.throwIfAborted();
      await this.#change.promise;
    }
    signal.throwIfAborted();
  }

  /**
   * Fetches what `partial` doesn't have yet. When it returns, all of the blob is in the file and has
   * the right digest.
   *
   * @param onBytes hears how many bytes were written; negative when they are of no use any more
   * @throws {Failure} `content`, `network`, and what the registry refuses with; the signal's reason
   */
  async fetch(
    blob: WantedBlob,
    partial: PartialBlob,
    onBytes: (count: number) => void,
    signal: AbortSignal,
  ): Promise<void> {
    signal.throwIfAborted();
    if (this.#downloads.size === 0) this.#lastProgress = performance.now();
    const home = this.#lanes.pickThread();
    const download = new Download(blob, partial, home, this.#nextJob++, onBytes);
    const abandon = () => download.settle(signal.reason);
    signal.addEventListener("abort", abandon, { once: true });
    this.#downloads.add(download);
    this.changed();
    try {
      await download.settled;
    } finally {
      signal.removeEventListener("abort", abandon);
      this.#lanes.stop(download);
      // What they have written still counts, and nobody else may write before they have ended.
      while (download.lanes.size > 0 || download.isBeginning) await this.#change.promise;
      download.close();
      this.#downloads.delete(download);
      this.changed();
    }
  }

  moved(lane: Lane, count: number): void {
    this.#moved += count;
    this.#lastProgress = lane.lastMoved;
  }

  answered(lane: Lane, answer: PieceAnswer): LaneFailure | undefined {
    const { download, source } = lane;
    if (answer.kind !== "refused" || answer.answered) source.answered();
    const verdict = judge(lane, answer);
    if (verdict.kind === "part") {
      if (answer.kind === "part") download.learn(source, answer);
      return undefined;
    }
    if (verdict.kind === "whole") {
      download.isStream = true;
      download.todo.take(download.blob.size);
      lane.extend(download.blob.size);
      return undefined;
    }
    if (answer.kind === "whole") answer.body.cancel().catch(() => {});
    if (verdict.kind === "restart") {
      download.isStream = true;
      this.#restart(download);
    } else if (verdict.kind === "pass") {
      if (verdict.failure) this.#exclude(download, source, verdict.failure);
      else download.excluded.add(source);
    }
    return verdict.problem;
  }

  deceived({ download, source }: Lane, failure: Failure): void {
    this.#exclude(download, source, failure);
  }

  ended(lane: Lane, problem?: LaneFailure): void {
    const { download, position, promised } = lane;
    if (problem) this.#conclude(lane, problem);
    if (position < promised) {
      if (download.isStream) this.#restart(download);
      else download.todo.add(position, promised);
    }
    if (problem) this.#settleLost(problem.failure ?? new Failure("network", problem.reason));
    if (download.isRestarting && download.lanes.size === 0) this.#begin(download);
    else this.changed();
  }

  heard(report: Report & { job: number }): void {
    const download = [...this.#downloads].find(({ job }) => job === report.job);
    if (!download) return;
    switch (report.type) {
      case "hashing":
        download.hashed = report.position;
        this.changed();
        break;
      case "hashed":
        this.#compare(download, report.digest);
        break;
      case "broken":
        download.settle(Object.assign(new Error(report.message), { code: report.code }));
    }
  }

  failed(error: unknown): void {
    for (const download of this.#downloads) download.settle(error);
  }

  /** Sends lanes for what can be done now, and wakes whoever waits for something to be different. */
  changed(): void {
    const now = performance.now();
    while (this.#lanes.size < this.#width.lanes) {
      const download = this.#neediest(now);
      const source = download && this.#sources.next(download, now);
      const part = source && download.take(PART);
      if (!part) break;
      this.#lanes.start(download, part, source, now);
    }
    this.#change.resolve();
    this.#change = Promise.withResolvers();
  }

  #isHungry(): boolean {
    let waiting = 0;
    for (const { todo } of this.#downloads) waiting += todo.total;
    return this.#downloads.size < MOST_DOWNLOADS && waiting < this.#width.lanes * PART;
  }

  /** The blob with the fewest lanes, of those that have something to do. */
  #neediest(now: number): Download | undefined {
    let neediest: Download | undefined;
    for (const download of this.#downloads) {
      if (neediest && download.lanes.size >= neediest.lanes.size) continue;
      if (download.hasWork && this.#sources.next(download, now)) neediest = download;
    }
    return neediest;
  }

  /** Draws the conclusions from what ended a lane. */
  #conclude(lane: Lane, problem: LaneFailure): void {
    const { download, source } = lane;
    // The client has to find the way anew.
    if (download.route?.source === source) download.route = undefined;
    if (download.isRestarting || download.excluded.has(source)) return;
    if (problem.status === 429 || problem.status === 503) this.#width.yield(performance.now());
    const failure = this.#sources.note(lane, problem);
    if (failure) this.#exclude(download, source, failure);
  }

  /** Goes on without a source, or gives up. */
  #exclude(download: Download, source: SourceState, failure: Failure): void {
    this.#sources.exclude(download, source, failure);
    this.#settleLost(failure, download);
  }

  /**
   * Fails the blobs that nobody is left for, with what the registry said of them: `concerned`, and
   * those of which something is still to be fetched.
   */
  #settleLost(failure: Failure, concerned?: Download): void {
    for (const download of this.#downloads) {
      if (!this.#sources.hasLost(download)) continue;
      if (download !== concerned && download.todo.isEmpty) continue;
      download.settle(download.refusal ?? failure);
    }
  }

  #compare(download: Download, digest: string): void {
    if (download.matches(digest)) {
      download.settle();
      return;
    }
    // What lay on the disk is as likely to be wrong: then nobody else is blamed for now.
    const givers = download.isInherited ? [] : [...download.givers];
    const names = givers.map(({ name }) => name).join(" or ");
    const what = names ? `what came from ${names}` : "what there is of it";
    const failure = new Failure(
      "content",
      `can't get blob ${download.digest}: ${what} has the digest ${digest}; nothing of it was kept`,
    );
    if (!download.isInherited) download.mismatches++;
    const mirrors = givers.filter(({ isMirror }) => isMirror);
    for (const mirror of mirrors) this.#exclude(download, mirror, failure);
    if (mirrors.length === 0 && download.mismatches > 1) {
      download.settle(failure);
      return;
    }
    if (mirrors.length === 0) {
      this.options.onEvent?.({ type: "retry", attempt: 1, delay: 0, reason: failure.message });
    }
    this.#restart(download);
    if (download.lanes.size === 0) this.#begin(download);
  }

  /** Has a blob begin anew, as soon as nobody writes to it any more. */
  #restart(download: Download): void {
    download.isRestarting = true;
    this.#lanes.stop(download);
  }

  #begin(download: Download): void {
    if (download.isOver) return;
    download.isBeginning = true;
    download
      .restart(this.#nextJob++)
      .catch((error) => download.settle(error))
      .finally(() => {
        download.isBeginning = false;
        this.changed();
      });
  }

  #tick(): void {
    const now = performance.now();
    if (now - this.#lastTick > STOPPED) this.#lastProgress = now;
    this.#lastTick = now;
    let flowing = 0;
    for (const lane of this.#lanes) if (lane.isFlowing) flowing++;
    this.#width.observe(now, this.#moved, flowing);
    this.#moved = 0;
    this.changed();
    if (this.#lanes.size < this.#width.lanes) this.#relieve(now);
    this.#giveUp(now);
  }

  /** Gives the rest of the slowest lane to another. */
  #relieve(now: number): void {
    const takeover = findTakeover(this.#lanes, now, this.#lanes.requestStall);
    if (!takeover) return;
    takeover.lane.isYielding = true;
    takeover.lane.limit(takeover.end);
  }

  /** Fails when nothing has moved for too long. */
  #giveUp(now: number): void {
    const { stallTimeout } = this.options.client.limits;
    if (now - this.#lastProgress < stallTimeout) return;
    const isWaiting = [...this.#downloads].some(({ hasWork, lanes }) => hasWork || lanes.size > 0);
    if (!isWaiting) return;
    const reason = this.#sources.lastReason;
    this.failed(
      new Failure("network", `nothing moved for ${formatDuration(stallTimeout)}: ${reason}`),
    );
  }
}
