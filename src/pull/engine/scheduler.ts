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
import { Budget } from "./budget.ts";
import { Download } from "./download.ts";
import { Lane, type LaneFailure } from "./lane.ts";
import type { PartialBlob } from "./partial.ts";
import type { Report } from "./protocol.ts";
import { Relay } from "./relay.ts";
import { SourceState } from "./source-state.ts";
import { findTakeover } from "./takeover.ts";
import { Thread, Threads } from "./threads.ts";
import { Width } from "./width.ts";

/** Bytes of a part: small, so that hashing stays close behind what comes. */
const PART = 8 * 1024 * 1024;
/** Lanes that a transfer begins with. */
const INITIAL_LANES = 2;
/** Blobs that are open at a time. */
const MOST_DOWNLOADS = 64;
/** Milliseconds. */
const TICK = 100;
const REQUEST_STALL = 30_000;
/** Which part of the time that a pull may stand still one request may. */
const REQUEST_SHARE = 1 / 3;
/** In a row; after that the other hosts do without it. */
const MOST_ERRORS_MIRROR = 3;

export interface SchedulerOptions {
  readonly client: RegistryClient;
  readonly repository: Repository;
  readonly onEvent?: EventListener | undefined;
}

export class Scheduler implements Disposable {
  readonly #downloads = new Set<Download>();
  readonly #lanes = new Map<number, Lane>();
  readonly #relays = new Map<Lane, Relay>();
  #sources: readonly SourceState[];
  readonly #threads: Threads;
  readonly #width: Width;
  readonly #budget: Budget | undefined;
  readonly #filling: Disposable | undefined;
  /** Milliseconds that a request may stand still. */
  readonly #requestStall: number;
  readonly #timer: ReturnType<typeof setInterval>;
  #nextId = 1;
  #warm = 0;
  #moved = 0;
  #lastProgress = performance.now();
  #lastReason = "";
  #changed = Promise.withResolvers<void>();

  constructor(private readonly options: SchedulerOptions) {
    const { client, repository } = options;
    const { maxConnections, limitRate, stallTimeout } = client.limits;
    this.#requestStall = Math.min(REQUEST_STALL, stallTimeout * REQUEST_SHARE);
    this.#sources = client.blobSources(repository).map((source) => new SourceState(source));
    this.#width = new Width(maxConnections, INITIAL_LANES);
    this.#budget = limitRate === undefined ? undefined : new Budget();
    this.#filling = limitRate === undefined ? undefined : this.#budget?.fill(limitRate);
    this.#threads = new Threads(
      () =>
        new Thread(
          this.#budget?.memory,
          (report) => this.#hear(report),
          (error) => this.#failAll(error),
        ),
    );
    this.#timer = setInterval(() => this.#tick(), TICK);
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
    this.#filling?.[Symbol.dispose]();
    this.#threads.end();
  }

  /** Returns when another blob would be of use. @throws the signal's reason */
  async wantsMore(signal: AbortSignal): Promise<void> {
    while (!this.#isHungry()) {
      signal.throwIfAborted();
      await this.#changed.promise;
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
    const download = new Download(blob, partial, this.#threads.pick(), this.#nextId++, onBytes);
    const abandon = () => download.settle(signal.reason);
    signal.addEventListener("abort", abandon, { once: true });
    this.#downloads.add(download);
    this.#fill();
    try {
      await download.settled;
    } finally {
      signal.removeEventListener("abort", abandon);
      for (const lane of download.lanes) {
        lane.stop();
        this.#relays.get(lane)?.moved();
      }
      // What they have written still counts, and nobody else may write before they have ended.
      while (download.lanes.size > 0 || download.isBeginning) await this.#changed.promise;
      download.close();
      this.#downloads.delete(download);
      this.#change();
    }
  }

  #isHungry(): boolean {
    let waiting = 0;
    for (const { todo } of this.#downloads) waiting += todo.total;
    return this.#downloads.size < MOST_DOWNLOADS && waiting < this.#width.lanes * PART;
  }

  /** Wakes whoever waits for something to be different. */
  #change(): void {
    this.#changed.resolve();
    this.#changed = Promise.withResolvers();
  }

  #fill(): void {
    const now = performance.now();
    while (this.#lanes.size < this.#width.lanes) {
      const download = this.#neediest(now);
      if (!download) break;
      this.#startLane(download, now);
    }
    this.#change();
  }

  /** The blob with the fewest lanes, of those that have something to do. */
  #neediest(now: number): Download | undefined {
    let neediest: Download | undefined;
    for (const download of this.#downloads) {
      if (neediest && download.lanes.size >= neediest.lanes.size) continue;
      if (download.hasWork && this.#sourceFor(download, now)) neediest = download;
    }
    return neediest;
  }

  /** The first source that may be asked now. */
  #sourceFor({ excluded }: Download, now: number): SourceState | undefined {
    return this.#sources.find((source) => !excluded.has(source) && source.pause(now) === 0);
  }

  #startLane(download: Download, now: number): void {
    const source = this.#sourceFor(download, now);
    const part = download.take(PART);
    if (!source || !part) return;
    const direct = download.route?.source === source ? download.route.direct : undefined;
    const thread = direct ? this.#threadFor(download) : download.home;
    const lane = new Lane(this.#nextId++, download, part, source, thread);
    if (this.#warm > 0) {
      this.#warm--;
      lane.isWarm = true;
    }
    this.#lanes.set(lane.id, lane);
    download.lanes.add(lane);
    thread.load++;
    source.asked(now);
    if (!direct) {
      this.#relay(lane).catch((error) => this.#failAll(error));
      return;
    }
    download.openOn(thread);
    download.givers.add(source);
    const { id } = lane;
    lane.stop = () => thread.send({ type: "stop", lane: id });
    lane.limit = (end) => thread.send({ type: "limit", lane: id, end });
    const stallTimeout = this.#requestStall;
    const { job, blob } = download;
    const validator = download.validators.get(source);
    const order = { ...part, route: direct, size: blob.size, validator, stallTimeout };
    thread.send({ type: "fetch", job, lane: id, ...order });
  }

  /** One lane of a blob runs where it is hashed: what comes in order needn't be read back then. */
  #threadFor({ home, lanes }: Download): Thread {
    for (const { thread } of lanes) if (thread === home) return this.#threads.pick();
    return home;
  }

  async #relay(lane: Lane): Promise<void> {
    const { download, part, source } = lane;
    const { client, repository } = this.options;
    const ending = new AbortController();
    const { signal } = ending;
    lane.stop = () => ending.abort();
    const relay = new Relay(lane, this.#budget, signal);
    lane.limit = (end) => {
      lane.end = Math.max(relay.sent, end);
      this.#limited(lane, lane.end);
      if (lane.end === relay.sent) ending.abort();
    };
    this.#relays.set(lane, relay);
    const isWhole = part.start === 0 && part.end === download.blob.size;
    if (!isWhole && !download.isIndirect) download.isProbing = true;
    try {
      const request = { ...part, validator: download.validators.get(source), signal };
      const answer = await client.openPiece(source.source, repository, download.blob, request);
      download.isProbing = false;
      const problem = this.#judge(lane, answer);
      if (problem) return this.#end(lane, problem);
      this.#fill();
      if (answer.kind === "part" || answer.kind === "whole") {
        download.givers.add(source);
        await relay.pass(answer.body);
      }
      this.#end(lane);
    } catch (error) {
      if (signal.aborted) return this.#end(lane);
      if (!(error instanceof Error)) throw error;
      if (error instanceof Failure && error.kind === "content") {
        this.#exclude(download, source, error);
      }
      this.#end(lane, { reason: error.message });
    } finally {
      download.isProbing = false;
      this.#relays.delete(lane);
    }
  }

  /** What an answer means for its lane and its blob. @returns a problem, where nothing comes of it */
  #judge(lane: Lane, answer: PieceAnswer): LaneFailure | undefined {
    const { download, part, source } = lane;
    switch (answer.kind) {
      case "part":
        source.answered();
        if (answer.validator !== undefined && !download.validators.has(source)) {
          download.validators.set(source, answer.validator);
        }
        if (answer.direct) download.route = { source, direct: answer.direct };
        else download.isIndirect = true;
        return undefined;
      case "whole": {
        source.answered();
        if (part.start === 0 && part.end === download.blob.size) return undefined;
        const isFirst = download.lanes.size === 1 && download.partial.written.isEmpty;
        if (source.isMirror && (!isFirst || part.start > 0)) {
          answer.body.cancel().catch(() => {});
          return this.#pass(download, source, "it sends no parts");
        }
        download.isStream = true;
        if (!isFirst || part.start > 0) {
          answer.body.cancel().catch(() => {});
          this.#restart(download);
          return { reason: "the host has stopped sending parts", status: 200 };
        }
        // It doesn't do parts: then this is all of it.
        download.todo.take(download.blob.size);
        lane.extend(download.blob.size);
        return undefined;
      }
      case "unusable":
        source.answered();
        // Others may do parts: only the registry decides that there are none.
        if (source.isMirror || download.isStream || part.end - part.start === download.blob.size) {
          this.#exclude(download, source, answer.failure);
        } else {
          download.isStream = true;
          this.#restart(download);
        }
        return { reason: answer.failure.message, status: 206 };
      case "refused": {
        if (answer.answered) source.answered();
        // There is another host to ask, and nothing to hold against this one.
        if (source.isMirror && answer.attempts === 1) {
          this.#exclude(download, source, answer.failure);
        }
        return {
          reason: answer.failure.message,
          failure: answer.failure,
          attempts: answer.attempts,
          retryAfter: answer.retryAfter,
          status: answer.status,
        };
      }
    }
  }

  #hear(report: Report): void {
    if ("job" in report) {
      const download = [...this.#downloads].find(({ job }) => job === report.job);
      if (download) this.#hearOf(download, report);
      return;
    }
    const lane = this.#lanes.get(report.lane);
    if (!lane) return;
    switch (report.type) {
      case "moved":
        this.#advance(lane, report.position);
        break;
      case "limited":
        lane.end = report.end;
        this.#limited(lane, report.end);
        break;
      case "ended":
        this.#advance(lane, report.position);
        this.#end(lane, report.problem && { ...report.problem, isDirect: true });
    }
  }

  #hearOf(download: Download, report: Report & { job: number }): void {
    switch (report.type) {
      case "hashing":
        download.hashed = report.position;
        this.#fill();
        break;
      case "hashed":
        this.#compare(download, report.digest);
        break;
      case "broken":
        download.settle(Object.assign(new Error(report.message), { code: report.code }));
    }
  }

  #advance(lane: Lane, position: number): void {
    const count = position - lane.position;
    if (count <= 0) return;
    lane.download.note(lane.position, position);
    lane.position = position;
    lane.lastMoved = performance.now();
    this.#lastProgress = lane.lastMoved;
    this.#moved += count;
    lane.source.succeeded();
    this.#relays.get(lane)?.moved();
  }

  /** A lane will end earlier: the rest is for another. */
  #limited(lane: Lane, end: number): void {
    const { download, part } = lane;
    lane.isYielding = false;
    download.todo.add(end, lane.promised);
    lane.promised = end;
    if (end < part.end) this.#fill();
  }

  /** A lane is over. */
  #end(lane: Lane, problem?: LaneFailure): void {
    if (!this.#lanes.delete(lane.id)) return;
    const { download, position, promised } = lane;
    download.lanes.delete(lane);
    lane.thread.load--;
    if (problem) this.#note(lane, problem);
    else if (position === promised) this.#warm++;
    if (position < promised) {
      if (download.isStream) this.#restart(download);
      else download.todo.add(position, promised);
    }
    if (problem) this.#settleLost(problem.failure ?? new Failure("network", problem.reason));
    if (download.isRestarting && download.lanes.size === 0) this.#begin(download);
    else this.#fill();
  }

  /** Draws the conclusions from what ended a lane. */
  #note(lane: Lane, problem: LaneFailure): void {
    const { reason, status, failure, attempts, retryAfter, isDirect } = problem;
    const { download, source, position, part } = lane;
    const now = performance.now();
    // The client has to find the way anew.
    if (download.route?.source === source) download.route = undefined;
    if (download.isRestarting || download.excluded.has(source)) return;
    this.#lastReason = failure?.message ?? `${source.name}: ${reason}`;
    if (status === 429 || status === 503) this.#width.yield(now);
    // What a host says to a bare request, the client may know an answer to.
    const isHarmless = position > part.start || (isDirect && status !== undefined);
    const { failures, delay } = isHarmless
      ? { failures: 1, delay: 0 }
      : source.failed(now, retryAfter);
    const isFinal = source.isMirror
      ? failures >= MOST_ERRORS_MIRROR
      : attempts !== undefined && ++download.refusals >= attempts;
    const patience = source.isMirror ? 0 : this.options.client.limits.connectTimeout;
    const isOut = isFinal || source.isUnreachable(now + delay, patience);
    if (isOut && (failure || source.isMirror)) {
      this.#exclude(download, source, failure ?? new Failure("network", this.#lastReason));
      return;
    }
    if (isHarmless && isDirect && status !== undefined) return;
    const event = { attempt: failures, delay: Math.round(delay), reason: this.#lastReason };
    this.options.onEvent?.({ type: "retry", ...event });
  }

  /** Has others fetch a blob that a mirror isn't up to; for the rest it may be. */
  #pass(download: Download, source: SourceState, reason: string): LaneFailure {
    download.excluded.add(source);
    return { reason };
  }

  /** Goes on without a source, or gives up. */
  #exclude(download: Download, source: SourceState, failure: Failure): void {
    download.excluded.add(source);
    if (source.isMirror) {
      const { client, repository } = this.options;
      client.noteFailure(source.source, repository, failure);
      // What a mirror lacks is no reason to do without the rest.
      if (failure.kind !== "not-found") this.#sources = this.#sources.filter((s) => s !== source);
    } else {
      download.refusal = failure;
      const isLast = this.#sources.every((each) => download.excluded.has(each));
      if (!isLast && failure.kind !== "not-found") {
        this.#warn(`${failure.message}; going on without ${source.name}`);
      }
    }
    this.#settleLost(failure, download);
  }

  /**
   * Fails the blobs that nobody is left for, with what the registry said of them: `concerned`, and
   * those of which something is still to be fetched.
   */
  #settleLost(failure: Failure, concerned?: Download): void {
    for (const download of this.#downloads) {
      if (this.#sources.some((source) => !download.excluded.has(source))) continue;
      if (download !== concerned && download.todo.isEmpty) continue;
      download.settle(download.refusal ?? failure);
    }
  }

  #compare(download: Download, digest: string): void {
    if (download.matches(digest)) {
      download.settle();
      return;
    }
    const givers = [...download.givers];
    const names = givers.map(({ name }) => name).join(" or ") || "an earlier run";
    const failure = new Failure(
      "content",
      `can't get blob ${download.digest}: what came from ${names} has the digest ${digest}; nothing of it was kept`,
    );
    download.mismatches++;
    const mirrors = givers.filter(({ isMirror }) => isMirror);
    for (const mirror of mirrors) this.#exclude(download, mirror, failure);
    if (mirrors.length === 0 && givers.length > 0 && download.mismatches > 1) {
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
    for (const lane of download.lanes) lane.stop();
  }

  #begin(download: Download): void {
    if (download.isOver) return;
    download.isBeginning = true;
    download
      .restart(this.#nextId++)
      .catch((error) => download.settle(error))
      .finally(() => {
        download.isBeginning = false;
        this.#fill();
      });
  }

  #tick(): void {
    const now = performance.now();
    let flowing = 0;
    for (const lane of this.#lanes.values()) if (lane.isFlowing) flowing++;
    this.#width.observe(now, this.#moved, flowing);
    this.#moved = 0;
    this.#fill();
    if (this.#lanes.size < this.#width.lanes) this.#relieve(now);
    this.#giveUp(now);
  }

  /** Gives the rest of the slowest lane to another. */
  #relieve(now: number): void {
    const takeover = findTakeover(this.#lanes.values(), now, this.#requestStall);
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
    const reason = this.#lastReason && `: ${this.#lastReason}`;
    this.#failAll(
      new Failure("network", `nothing moved for ${formatDuration(stallTimeout)}${reason}`),
    );
  }

  #failAll(error: unknown): void {
    for (const download of this.#downloads) download.settle(error);
  }

  #warn(message: string): void {
    this.options.onEvent?.({ type: "warning", message });
  }
}
