/**
 * One worker at a time for one thing, over processes and machines that share a directory, without
 * file locks. A lease is a file that only one can create; its holder touches it, and who waits takes
 * it over when it hasn't changed for a while, by the waiter's own clock.
 *
 * It saves double work and no more. Two holders are possible for a moment, when a process was
 * stopped and goes on, so whoever works under a lease writes under names that hold its token and
 * shows the result by a rename.
 */
import { randomBytes } from "node:crypto";
import { type FileHandle, open, readdir, readFile, rename, rm, unlink } from "node:fs/promises";
import { join } from "node:path";
import { delay } from "../lib/abort.ts";
import { errorCode, isMissing, makeDirectory, writeFully } from "../lib/durable.ts";

/** Milliseconds between two signs of life. */
const HEARTBEAT = 2_000;
/** Milliseconds between two looks of a waiter. */
const POLL = 200;

export interface LeaseOptions {
  /** Where the lease and the working files are. */
  readonly directory: string;
  /** What is worked on; a valid file name. */
  readonly name: string;
  /** Whether the work is done, by whomever. */
  readonly isDone: () => Promise<boolean>;
  readonly signal?: AbortSignal | undefined;
  /** Milliseconds without a sign of life until a holder counts as dead. @default 10_000 */
  readonly timeToLive?: number;
}

/**
 * Runs `work` unless it is done, or waits until another has done it. `work` gets a path that nobody
 * else uses, for its working file or directory: it is removed afterwards, and so is what earlier
 * holders left. When `work` fails and the lease was taken over meanwhile, it starts afresh: its
 * working file was removed under it.
 */
export async function withLease(
  options: LeaseOptions,
  work: (workingPath: string) => Promise<void>,
): Promise<void> {
  const { directory, name, isDone, signal } = options;
  const leasePath = join(directory, `${name}.lease`);
  while (!(await isDone())) {
    signal?.throwIfAborted();
    const token = randomBytes(8).toString("hex");
    const handle = await acquire(directory, leasePath, token);
    if (!handle) {
      await waitForHolder(leasePath, token, options);
      continue;
    }
    const heartbeat = setInterval(() => {
      const now = new Date();
      handle.utimes(now, now).catch(() => {});
    }, HEARTBEAT);
    heartbeat.unref();
    try {
      await removeLeftovers(directory, name);
      // The former holder may have finished between our look and our lease.
      if (!(await isDone())) await work(join(directory, `${name}.${token}`));
      return;
    } catch (error) {
      if (await holds(leasePath, token)) throw error;
    } finally {
      clearInterval(heartbeat);
      await rm(join(directory, `${name}.${token}`), { recursive: true, force: true });
      await handle.close();
      if (await holds(leasePath, token)) await unlink(leasePath).catch(ignoreMissing);
    }
  }
}

async function acquire(
  directory: string,
  leasePath: string,
  token: string,
): Promise<FileHandle | undefined> {
  await makeDirectory(directory);
  let handle: FileHandle;
  try {
    handle = await open(leasePath, "wx", 0o644);
  } catch (error) {
    if (errorCode(error) === "EEXIST") return undefined;
    throw error;
  }
  try {
    await writeFully(handle, Buffer.from(token), 0);
    return handle;
  } catch (error) {
    await handle.close();
    await unlink(leasePath).catch(() => {});
    throw error;
  }
}

/** Returns when it is worth trying again: the work is done, the lease is gone or was taken from it. */
async function waitForHolder(
  leasePath: string,
  token: string,
  { isDone, signal, timeToLive = 10_000 }: LeaseOptions,
): Promise<void> {
  let seen: string | undefined;
  let seenAt = 0;
  for (;;) {
    const current = await signOfLife(leasePath);
    if (current === undefined) return;
    if (current !== seen) {
      seen = current;
      seenAt = performance.now();
    } else if (performance.now() - seenAt > timeToLive) {
      const stale = `${leasePath}.${token}`;
      await rename(leasePath, stale).catch(ignoreMissing);
      await unlink(stale).catch(ignoreMissing);
      return;
    }
    await delay(POLL, signal);
    if (await isDone()) return;
  }
}

/** Changes with every heartbeat. It is opened, because that is when NFS asks its server. */
async function signOfLife(leasePath: string): Promise<string | undefined> {
  let handle: FileHandle;
  try {
    handle = await open(leasePath, "r");
  } catch (error) {
    ignoreMissing(error);
    return undefined;
  }
  try {
    const { ino, mtimeMs } = await handle.stat();
    return `${ino}:${mtimeMs}`;
  } finally {
    await handle.close();
  }
}

async function holds(leasePath: string, token: string): Promise<boolean> {
  try {
    return (await readFile(leasePath, "utf8")) === token;
  } catch (error) {
    ignoreMissing(error);
    return false;
  }
}

async function removeLeftovers(directory: string, name: string): Promise<void> {
  for (const entry of await readdir(directory)) {
    if (!entry.startsWith(`${name}.`) || entry === `${name}.lease`) continue;
    await rm(join(directory, entry), { recursive: true, force: true });
  }
}

function ignoreMissing(error: unknown): void {
  if (!isMissing(error)) throw error;
}
