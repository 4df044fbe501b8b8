/**
 * A transfer thread: receives parts of blobs, writes them where they belong, and hashes behind what
 * is there. Its reads and writes block it, as nothing else runs here.
 */
import { closeSync, constants, openSync, writeSync } from "node:fs";
import { errorCode } from "../../lib/durable.ts";
import type { DirectRoute } from "../../registry/client.ts";
import { Budget } from "./budget.ts";
import { RangeConnection } from "./connection.ts";
import { Hashing } from "./hashing.ts";
import type { Command, FetchOrder, LaneProblem, Report } from "./protocol.ts";

/** Bytes that a lane moves between two reports. */
const REPORT_INTERVAL = 1024 * 1024;
/** Milliseconds between two looks at who is silent, and at who may go on. */
const WATCH_INTERVAL = 500;
const RESUME_INTERVAL = 20;

interface Job {
  readonly file: number;
  readonly hashing: Hashing | undefined;
}

export class TransferThread {
  readonly #jobs = new Map<number, Job>();
  readonly #lanes = new Map<number, FetchLane>();
  /** Connections that wait for their next request, by {@link peerOf}. */
  readonly #idle = new Map<string, RangeConnection[]>();
  readonly #paused = new Set<FetchLane>();
  readonly #budget: Budget | undefined;

  constructor(
    private readonly post: (report: Report) => void,
    budget: SharedArrayBuffer | undefined,
  ) {
    this.#budget = budget && new Budget(budget);
    setInterval(() => this.#endSilent(), WATCH_INTERVAL);
    if (budget) setInterval(() => this.#resume(), RESUME_INTERVAL);
  }

  obey(command: Command): void {
    switch (command.type) {
      case "open":
        this.#open(command);
        break;
      case "advance":
        this.#jobs.get(command.job)?.hashing?.advance(command.position);
        break;
      case "write":
        this.#relay(command);
        break;
      case "fetch":
        this.#fetch(command);
        break;
      case "limit":
        this.#lanes.get(command.lane)?.limit(command.end);
        break;
      case "stop":
        this.#lanes.get(command.lane)?.stop();
        break;
      case "close":
        this.#close(command.job);
        break;
    }
  }

  #open({ job, path, size, algorithm, isReadOnly }: Command & { type: "open" }): void {
    try {
      // A file of ours, and nothing that somebody put in its place.
      const ours = constants.O_RDWR | constants.O_NOFOLLOW;
      const file = openSync(path, isReadOnly ? constants.O_RDONLY : ours);
      const hashing =
        algorithm === undefined
          ? undefined
          : new Hashing(algorithm, size, file, {
              progress: (position) => this.post({ type: "hashing", job, position }),
              digest: (digest) => this.post({ type: "hashed", job, digest }),
              error: (error) => this.#break(job, error),
            });
      this.#jobs.set(job, { file, hashing });
    } catch (error) {
      this.#break(job, error);
    }
  }

  #close(id: number): void {
    const job = this.#jobs.get(id);
    this.#jobs.delete(id);
    if (!job) return;
    job.hashing?.stop();
    closeSync(job.file);
  }

  #relay({ job, lane, position, bytes }: Command & { type: "write" }): void {
    if (!this.#write(job, position, bytes)) return;
    this.post({ type: "moved", lane, position: position + bytes.byteLength });
    this.#jobs.get(job)?.hashing?.offer(position, bytes);
  }

  /** @returns false when that failed, which was reported */
  #write(id: number, position: number, bytes: Uint8Array): boolean {
    const job = this.#jobs.get(id);
    if (!job) return false;
    try {
      for (let done = 0; done < bytes.byteLength; ) {
        done += writeSync(job.file, bytes, done, bytes.byteLength - done, position + done);
      }
    } catch (error) {
      this.#break(id, error);
      return false;
    }
    return true;
  }

  #break(job: number, error: unknown): void {
    const message = error instanceof Error ? error.message : String(error);
    this.post({ type: "broken", job, code: errorCode(error) ?? "", message });
  }

  #fetch(order: Command & { type: "fetch" }): void {
    const { lane: id, job } = order;
    const peer = peerOf(order.route);
    const idle = this.#idle.get(peer) ?? [];
    this.#idle.set(peer, idle);
    const lane = new FetchLane(order, {
      write: (position, bytes) => this.#write(job, position, bytes),
      hash: (position, bytes) => this.#jobs.get(job)?.hashing?.offer(position, bytes),
      connection: () => {
        for (let next = idle.pop(); next; next = idle.pop()) if (next.isReusable) return next;
        return RangeConnection.open(order.route);
      },
      received: (bytes) => {
        this.#budget?.spend(bytes);
        if (!this.#budget?.isOverdrawn) return;
        lane.pause();
        this.#paused.add(lane);
      },
      moved: (position) => this.post({ type: "moved", lane: id, position }),
      limited: (end) => this.post({ type: "limited", lane: id, end }),
      ended: (position, connection, problem) => {
        this.#lanes.delete(id);
        this.#paused.delete(lane);
        if (connection.isReusable) {
          connection.resume();
          idle.push(connection);
        }
        this.post({ type: "ended", lane: id, position, ...(problem && { problem }) });
      },
    });
    this.#lanes.set(id, lane);
    lane.start();
  }

  #endSilent(): void {
    const now = performance.now();
    for (const lane of this.#lanes.values()) lane.endIfSilent(now);
  }

  #resume(): void {
    for (const lane of this.#paused) {
      if (this.#budget?.isOverdrawn) return;
      this.#paused.delete(lane);
      lane.resume();
    }
  }
}

/**
 * What two requests must have in common to go over one connection: who trusts another authority, or
 * shows another certificate, doesn't speak with the same peer.
 */
function peerOf({ url, tls }: DirectRoute): string {
  return `${new URL(url).origin} ${JSON.stringify(tls)}`;
}

interface LaneHost {
  write(position: number, bytes: Uint8Array): boolean;
  /** Comes after the report of the same bytes: a digest is told when nothing else is left to tell. */
  hash(position: number, bytes: Uint8Array): void;
  connection(): RangeConnection;
  received(bytes: number): void;
  moved(position: number): void;
  limited(end: number): void;
  ended(position: number, connection: RangeConnection, problem?: LaneProblem): void;
}

/** One request for a part, from its dispatch to its last byte. */
class FetchLane {
  #connection: RangeConnection;
  #position: number;
  #end: number;
  #reported: number;
  #lastProgress = performance.now();
  #isPaused = false;
  #hasEnded = false;

  constructor(
    private readonly order: FetchOrder,
    private readonly host: LaneHost,
  ) {
    this.#connection = host.connection();
    this.#position = order.start;
    this.#reported = order.start;
    this.#end = order.end;
  }

  start(): void {
    this.#connection.request(this.order, {
      data: (chunk) => this.#receive(chunk),
      end: (problem) => this.#settle(problem),
    });
  }

  pause(): void {
    this.#isPaused = true;
    this.#connection.pause();
  }

  resume(): void {
    this.#isPaused = false;
    this.#lastProgress = performance.now();
    this.#connection.resume();
  }

  /** Not below what has been received. */
  limit(end: number): void {
    this.#end = Math.max(this.#position, Math.min(this.#end, end));
    this.host.limited(this.#end);
    if (this.#position === this.#end) this.stop();
  }

  stop(): void {
    this.#connection.close();
    this.#settle();
  }

  endIfSilent(now: number): void {
    if (this.#isPaused || now - this.#lastProgress < this.order.stallTimeout) return;
    this.#connection.close({ reason: "nothing moved for too long" });
  }

  #receive(chunk: Buffer): boolean {
    const start = this.#position;
    const bytes = chunk.subarray(0, this.#end - start);
    if (!this.host.write(start, bytes)) return false;
    this.#position += bytes.byteLength;
    this.#lastProgress = performance.now();
    if (this.#position - this.#reported >= REPORT_INTERVAL || this.#position === this.#end) {
      this.#reported = this.#position;
      this.host.moved(this.#position);
    }
    this.host.hash(start, bytes);
    this.host.received(chunk.byteLength);
    return this.#position < this.#end;
  }

  #settle(problem?: LaneProblem): void {
    if (this.#hasEnded) return;
    // The host may have closed a connection that waited: that says nothing about it.
    if (problem && problem.status === undefined && this.#position === this.order.start) {
      if (this.#connection.hasServed) {
        this.#connection = RangeConnection.open(this.order.route);
        this.start();
        return;
      }
    }
    this.#hasEnded = true;
    this.host.ended(this.#position, this.#connection, problem);
  }
}
