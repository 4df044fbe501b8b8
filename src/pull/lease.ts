/**
 * One worker at a time for one thing, over processes and machines that share a directory, without
 * file locks. A lease is a file that only one can create; its holder touches it, and who waits takes
 * it over when the holder is gone, or when it hasn't changed for a while by the waiter's own clock.
 *
 * It saves double work and no more. Two holders are possible for a moment, when a process was
 * stopped and goes on, so whoever works under a lease writes under names that hold its token and
 * shows the result by a rename.
 */
import { randomBytes } from "node:crypto";
import { type FileHandle, link, open, readdir, rename, rm, unlink } from "node:fs/promises";
import { join } from "node:path";
import { delay } from "../lib/abort.ts";
import { errorCode, ignoreMissing, makeDirectory, writeFully } from "../lib/durable.ts";
import { openRegularFile } from "../lib/regular-file.ts";
import { readSmallFile } from "../lib/small-file.ts";
import {
  isGone,
  isIdentity,
  isOfEarlierBoot,
  type ProcessIdentity,
  thisProcess,
} from "./machine.ts";
import { lookAt } from "./removal.ts";

/** Milliseconds between two signs of life. */
const HEARTBEAT = 2_000;
/** Milliseconds between two looks of a waiter. */
const POLL = 200;
const TIME_TO_LIVE = 10_000;
/** Bytes of a lease. */
const MAX_SIZE = 64 * 1024;

export interface LeaseOptions {
  /** Where the lease and the working files are. */
  readonly directory: string;
  /** What is worked on; a valid file name. */
  readonly name: string;
  /** Whether the work is done, by whomever. */
  readonly isDone: () => Promise<boolean>;
  /**
   * Whether work goes on where an earlier holder stopped: what that left is given the new names, and
   * what this one leaves stays when it fails. Of a holder that may still live nothing is inherited.
   * @default false
   */
  readonly inherit?: boolean;
  /** Hears that another process holds the lease. */
  readonly onWait?: () => void;
  readonly signal?: AbortSignal | undefined;
  /** Milliseconds without a sign of life until a holder counts as dead. @default 10_000 */
  readonly timeToLive?: number;
}

/** What a lease says of its holder. */
interface Holder {
  readonly token: string;
  readonly process: ProcessIdentity;
}

/**
 * Runs `work` unless it is done, or waits until another has done it. `work` gets a path that nobody
 * else uses, for its working file or directory; names that begin with it and a dot are its own too.
 * They are removed afterwards, and so is what earlier holders left. When `work` fails and the lease
 * was taken over meanwhile, it starts afresh: its files were removed under it.
 *
 * @param work its signal aborts with the caller's, or when the lease was lost
 */
export async function withLease(
  options: LeaseOptions,
  work: (workingPath: string, signal: AbortSignal) => Promise<void>,
): Promise<void> {
  const { directory, name, isDone, signal } = options;
  const path = join(directory, `${name}.lease`);
  while (!(await isDone())) {
    signal?.throwIfAborted();
    const holder = { token: randomBytes(8).toString("hex"), process: await thisProcess() };
    const lease = await Lease.acquire(path, holder, options.timeToLive ?? TIME_TO_LIVE);
    if (!lease) {
      options.onWait?.();
      await waitForHolder(path, holder.token, options);
      continue;
    }
    const working = join(directory, `${name}.${holder.token}`);
    const ending = signal ? AbortSignal.any([signal, lease.lost]) : lease.lost;
    let keep = false;
    try {
      await settleLeftovers(directory, name, options.inherit ? holder.token : undefined);
      // The former holder may have finished between our look and our lease.
      if (!(await isDone())) await work(working, ending);
      return;
    } catch (error) {
      const isOurs = await lease.isHeld();
      keep = isOurs && options.inherit === true;
      // Stopped for a while itself, with nobody who waited for it: then it goes on.
      const wasStopped = lease.lost.aborted && error === lease.lost.reason;
      if (isOurs && !wasStopped) throw error;
    } finally {
      if (!keep) await removeFiles(directory, `${name}.${holder.token}`);
      await lease.release();
    }
  }
}

/** A lease that this process holds, as far as it knows. */
class Lease {
  readonly #lost = new AbortController();
  readonly #timer: ReturnType<typeof setInterval>;
  #lastBeat = performance.now();

  private constructor(
    private readonly path: string,
    private readonly holder: Holder,
    private readonly handle: FileHandle,
    timeToLive: number,
  ) {
    this.#timer = setInterval(() => this.#beat(timeToLive), Math.min(HEARTBEAT, timeToLive / 5));
    this.#timer.unref();
  }

  /** Undefined when somebody else holds it. */
  static async acquire(
    path: string,
    holder: Holder,
    timeToLive: number,
  ): Promise<Lease | undefined> {
    await makeDirectory(join(path, ".."));
    let handle: FileHandle;
    try {
      handle = await open(path, "wx", 0o644);
    } catch (error) {
      if (errorCode(error) === "EEXIST") return undefined;
      throw error;
    }
    try {
      await writeFully(handle, Buffer.from(JSON.stringify(holder)), 0);
      return new Lease(path, holder, handle, timeToLive);
    } catch (error) {
      await handle.close();
      await unlink(path).catch(() => {});
      throw error;
    }
  }

  /** Aborts when the lease may be another's. */
  get lost(): AbortSignal {
    return this.#lost.signal;
  }

  async isHeld(): Promise<boolean> {
    return (await readHolder(this.path))?.token === this.holder.token;
  }

  async release(): Promise<void> {
    clearInterval(this.#timer);
    await this.handle.close();
    if (await this.isHeld()) await unlink(this.path).catch(ignoreMissing);
  }

  /** Whoever was stopped for half of what others wait lets go by itself. */
  #beat(timeToLive: number): void {
    if (performance.now() - this.#lastBeat > timeToLive / 2) this.#lose();
    const now = new Date();
    this.handle.utimes(now, now).then(
      () => {
        this.#lastBeat = performance.now();
      },
      () => {},
    );
    this.isHeld().then(
      (isHeld) => isHeld || this.#lose(),
      () => {},
    );
  }

  #lose(): void {
    this.#lost.abort(new Error(`the lease ${this.path} was lost`));
  }
}

/** Returns when it is worth trying again: the work is done, the lease is gone or was taken from it. */
async function waitForHolder(
  path: string,
  token: string,
  { directory, name, isDone, signal, timeToLive = TIME_TO_LIVE }: LeaseOptions,
): Promise<void> {
  let seen: string | undefined;
  let seenAt = 0;
  for (;;) {
    const current = await signOfLife(path);
    if (current === undefined) return;
    const isSilent = current === seen && performance.now() - seenAt > timeToLive;
    if (current !== seen) {
      seen = current;
      seenAt = performance.now();
    }
    const holder = await readHolder(path);
    if (isSilent || (holder && (await isGone(holder.process)))) {
      if (!(await takeAway(path, token, holder))) continue;
      // Whoever may still write must not write into what another goes on with.
      const isDead =
        holder && ((await isGone(holder.process)) || (await isOfEarlierBoot(holder.process)));
      if (holder && !isDead) await removeFiles(directory, `${name}.${holder.token}`);
      return;
    }
    await delay(POLL, signal);
    if (await isDone()) return;
  }
}

/** Removes the lease of `holder`. @returns false when it is another's by now */
async function takeAway(path: string, token: string, holder: Holder | undefined): Promise<boolean> {
  const stale = `${path}.${token}`;
  try {
    await rename(path, stale);
  } catch (error) {
    ignoreMissing(error);
    return false;
  }
  const taken = await readHolder(stale);
  const isRight = taken?.token === holder?.token;
  // A third one was faster, and works already.
  if (!isRight) await link(stale, path).catch(() => {});
  // What somebody has put in its place may be a directory.
  await rm(stale, { recursive: true, force: true });
  return isRight;
}

/** Changes with every heartbeat. It is opened, because that is when NFS asks its server. */
async function signOfLife(leasePath: string): Promise<string | undefined> {
  const handle = await openRegularFile(leasePath);
  try {
    // What is there and no lease never changes, and is taken away like that of a dead holder.
    const status = handle ? await handle.stat() : await lookAt(leasePath);
    return status && `${status.ino}:${status.mtimeMs}`;
  } finally {
    await handle?.close();
  }
}

/** Undefined when there is no lease, or one that is just being written. */
async function readHolder(path: string): Promise<Holder | undefined> {
  const content = await readSmallFile(path, MAX_SIZE);
  try {
    const holder: unknown = JSON.parse(content?.toString() ?? "");
    return isHolder(holder) ? holder : undefined;
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}

function isHolder(value: unknown): value is Holder {
  if (typeof value !== "object" || value === null) return false;
  const { token, process } = value as Partial<Holder>;
  return typeof token === "string" && /^[0-9a-f]{16}$/.test(token) && isIdentity(process);
}

/**
 * Removes what earlier holders left. With a token, one of them passes its files on: the one that
 * left the most.
 */
async function settleLeftovers(directory: string, name: string, heir?: string): Promise<void> {
  const leftovers = new Map<string, string[]>();
  for (const entry of await readdir(directory)) {
    if (!entry.startsWith(`${name}.`) || entry.startsWith(`${name}.lease`)) continue;
    const [token = "", ...suffix] = entry.slice(name.length + 1).split(".");
    leftovers.set(token, [...(leftovers.get(token) ?? []), suffix.join(".")]);
  }
  const sets = [...leftovers].sort(([, a], [, b]) => b.length - a.length);
  for (const [index, [token, suffixes]] of sets.entries()) {
    for (const suffix of suffixes) {
      const tail = suffix && `.${suffix}`;
      const old = join(directory, `${name}.${token}${tail}`);
      if (heir !== undefined && index === 0)
        await rename(old, join(directory, `${name}.${heir}${tail}`));
      else await rm(old, { recursive: true, force: true });
    }
  }
}

/** Removes `prefix` and whatever is called `prefix.…`. */
async function removeFiles(directory: string, prefix: string): Promise<void> {
  for (const entry of await readdir(directory).catch(() => [])) {
    if (entry !== prefix && !entry.startsWith(`${prefix}.`)) continue;
    await rm(join(directory, entry), { recursive: true, force: true });
  }
}
