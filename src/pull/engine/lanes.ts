/**
 * The lanes of a transfer: sends one for a part of a blob, on a transfer thread or over the main
 * thread, and hears what becomes of it.
 */
import { Failure } from "../../lib/failure.ts";
import type { Repository } from "../../oci/reference.ts";
import type { PieceAnswer, RegistryClient } from "../../registry/client.ts";
import { Budget } from "./budget.ts";
import type { Download } from "./download.ts";
import type { Extent } from "./extents.ts";
import { Lane, type LaneFailure } from "./lane.ts";
import type { Report } from "./protocol.ts";
import { Relay } from "./relay.ts";
import type { SourceState } from "./source-state.ts";
import { Thread, Threads } from "./threads.ts";

/** What receiving the bytes of a lane costs a thread, and what hashing them costs the blob's own. */
const RECEIVING = 3;
const HASHING = 2;
/** Milliseconds. */
const REQUEST_STALL = 30_000;
/** Which part of the time that a pull may stand still one request may. */
const REQUEST_SHARE = 1 / 3;

export interface LaneListener {
  /** So many more bytes of a lane are in its file. */
  moved(lane: Lane, count: number): void;
  /** The registry client has an answer. @returns a problem, where nothing comes of it */
  answered(lane: Lane, answer: PieceAnswer): LaneFailure | undefined;
  /** A body has more or fewer bytes than it should. */
  deceived(lane: Lane, failure: Failure): void;
  /** A part has become free, or more lanes can be sent for a blob. */
  changed(): void;
  /** A lane is over; without a problem it got what it was sent for, or was stopped. */
  ended(lane: Lane, problem?: LaneFailure): void;
  /** A thread says something of a blob. */
  heard(report: Report & { job: number }): void;
  /** Nothing works any more. */
  failed(error: unknown): void;
}

export class Lanes implements Disposable {
  /** Milliseconds that a request may stand still. */
  readonly requestStall: number;
  readonly #lanes = new Map<number, Lane>();
  readonly #relays = new Map<Lane, Relay>();
  readonly #threads: Threads;
  readonly #budget: Budget | undefined;
  readonly #filling: Disposable | undefined;
  #nextId = 1;
  /** Connections that brought bytes a moment ago, and wait for their next request. */
  #warm = 0;

  constructor(
    private readonly client: RegistryClient,
    private readonly repository: Repository,
    private readonly listener: LaneListener,
  ) {
    const { limitRate, stallTimeout } = client.limits;
    this.requestStall = Math.min(REQUEST_STALL, stallTimeout * REQUEST_SHARE);
    if (limitRate !== undefined) {
      this.#budget = new Budget();
      this.#filling = this.#budget.fill(limitRate);
    }
    const hear = (report: Report) => this.#hear(report);
    const crash = (error: Error) => this.#crash(error);
    this.#threads = new Threads(() => new Thread(this.#budget?.memory, hear, crash));
  }

  [Symbol.dispose](): void {
    this.#filling?.[Symbol.dispose]();
    this.#threads.end();
  }

  get size(): number {
    return this.#lanes.size;
  }

  [Symbol.iterator](): IterableIterator<Lane> {
    return this.#lanes.values();
  }

  /** The thread to hash a blob. */
  pickThread(): Thread {
    return this.#threads.pick();
  }

  /** Sends a lane for a part: straight where the way is known, else by way of the client. */
  start(download: Download, part: Extent, source: SourceState, now: number): void {
    const direct = download.route?.source === source ? download.route.direct : undefined;
    const thread = direct ? this.#threadFor(download) : download.home;
    const lane = new Lane(this.#nextId++, download, part, source, thread);
    if (this.#warm > 0) {
      this.#warm--;
      lane.isWarm = true;
    }
    this.#lanes.set(lane.id, lane);
    download.lanes.add(lane);
    thread.load += RECEIVING;
    download.home.load += HASHING;
    source.asked(now);
    if (!direct) {
      this.#relay(lane).catch((error) => this.listener.failed(error));
      return;
    }
    download.openOn(thread);
    download.givers.add(source);
    const { id } = lane;
    lane.stop = () => thread.send({ type: "stop", lane: id });
    lane.limit = (end) => thread.send({ type: "limit", lane: id, end });
    const { job, blob } = download;
    const validator = download.validators.get(source);
    const order = { ...part, route: direct, size: blob.size, validator };
    thread.send({ type: "fetch", job, lane: id, ...order, stallTimeout: this.requestStall });
  }

  /** Stops the lanes of a blob; they end a little later. */
  stop(download: Download): void {
    for (const lane of download.lanes) {
      lane.stop();
      this.#relays.get(lane)?.moved();
    }
  }

  /** One lane of a blob runs where it is hashed: what comes in order needn't be read back then. */
  #threadFor({ home, lanes }: Download): Thread {
    for (const { thread } of lanes) if (thread === home) return this.#threads.pick();
    return home;
  }

  async #relay(lane: Lane): Promise<void> {
    const { download, part, source } = lane;
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
      const answer = await this.client.openPiece(
        source.source,
        this.repository,
        download.blob,
        request,
      );
      download.isProbing = false;
      const problem = this.listener.answered(lane, answer);
      if (problem) return this.#end(lane, problem);
      this.listener.changed();
      if (answer.kind === "part" || answer.kind === "whole") {
        download.givers.add(source);
        await relay.pass(answer.body);
      }
      this.#end(lane);
    } catch (error) {
      if (signal.aborted) return this.#end(lane);
      if (!(error instanceof Error)) throw error;
      if (error instanceof Failure && error.kind === "content") this.listener.deceived(lane, error);
      this.#end(lane, { reason: error.message });
    } finally {
      download.isProbing = false;
      this.#relays.delete(lane);
    }
  }

  #hear(report: Report): void {
    if ("job" in report) {
      this.listener.heard(report);
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

  /** What ran on a thread that died will never say that it has ended. */
  #crash(error: Error): void {
    this.listener.failed(error);
    for (const lane of [...this.#lanes.values()]) {
      lane.stop();
      this.#end(lane);
    }
  }

  #advance(lane: Lane, position: number): void {
    const count = position - lane.position;
    if (count <= 0) return;
    lane.download.note(lane.position, position);
    lane.position = position;
    lane.lastMoved = performance.now();
    lane.source.succeeded();
    this.#relays.get(lane)?.moved();
    this.listener.moved(lane, count);
  }

  /** A lane will end earlier: the rest is for another. */
  #limited(lane: Lane, end: number): void {
    const { download, part } = lane;
    lane.isYielding = false;
    download.todo.add(end, lane.promised);
    lane.promised = end;
    if (end < part.end) this.listener.changed();
  }

  #end(lane: Lane, problem?: LaneFailure): void {
    if (!this.#lanes.delete(lane.id)) return;
    lane.download.lanes.delete(lane);
    lane.thread.load -= RECEIVING;
    lane.download.home.load -= HASHING;
    if (!problem && lane.position === lane.promised) this.#warm++;
    this.listener.ended(lane, problem);
  }
}
