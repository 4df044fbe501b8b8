/**
 * What a running pull needs of the cache, so that nobody removes it meanwhile: a file in `partial/`
 * that names its owner, lists digests and is touched as long as the owner lives.
 *
 * Who removes something moves it away, looks at the holds, and moves back what is held: a hold that
 * was there before its owner looked for a blob is then always seen.
 */
import { randomBytes } from "node:crypto";
import { type FileHandle, open, unlink } from "node:fs/promises";
import { join } from "node:path";
import { errorCode, listIfThere, makeDirectory, writeFully } from "../lib/durable.ts";
import { readSmallFile } from "../lib/small-file.ts";
import type { Digest } from "../oci/digest.ts";
import { isGone, isIdentity, thisProcess } from "./machine.ts";
import { lookAt, removeFile } from "./removal.ts";

/** Milliseconds between two signs of life. */
const HEARTBEAT = 5_000;
/** Milliseconds without a sign of life until the owner of unfinished work counts as dead. */
export const TIME_TO_LIVE = 60_000;
/** Bytes: a manifest names fewer digests than this. */
const MAX_SIZE = 8 * 1024 * 1024;

const PREFIX = "hold.";

/** Errors of a file system that may only be read. */
const readOnly = new Set(["EROFS", "EACCES", "EPERM"]);

/** Whether the error says that nothing may be written here. */
export function isReadOnly(error: unknown): boolean {
  return readOnly.has(errorCode(error) ?? "");
}

/**
 * Runs `work` while nothing of `digests`, views or blobs, is removed from the cache.
 *
 * @param partial the directory of unfinished work; where it can't be written, nobody removes either
 */
export async function holding<T>(
  partial: string,
  digests: readonly Digest[],
  work: () => Promise<T>,
): Promise<T> {
  const path = join(partial, `${PREFIX}${randomBytes(8).toString("hex")}`);
  const content = Buffer.from([JSON.stringify(await thisProcess()), ...digests].join("\n"));
  let handle: FileHandle;
  try {
    await makeDirectory(partial);
    await readHolds(partial);
    handle = await open(path, "wx", 0o644);
  } catch (error) {
    if (!isReadOnly(error)) throw error;
    return work();
  }
  // Written, not given a time: the file server's clock counts.
  const touch = () => writeFully(handle, content.subarray(0, 1), 0).then(() => handle.datasync());
  const heartbeat = setInterval(() => touch().catch(() => {}), HEARTBEAT);
  heartbeat.unref();
  try {
    await writeFully(handle, content, 0);
    return await work();
  } finally {
    clearInterval(heartbeat);
    await handle.close();
    await removeFile(path);
  }
}

/** What running pulls need, on all machines that share the cache. */
export async function heldDigests(partial: string): Promise<Set<string>> {
  const now = await fileClock(partial);
  const holds = await readHolds(partial);
  const living = holds.filter(({ touched }) => now - touched <= TIME_TO_LIVE);
  return new Set(living.flatMap(({ digests }) => digests));
}

interface Hold {
  readonly digests: readonly string[];
  /** Milliseconds since 1970, by the file server's clock. */
  readonly touched: number;
}

/** The holds that there are; those whose owner is certainly gone are removed. */
async function readHolds(partial: string): Promise<Hold[]> {
  const holds: Hold[] = [];
  for (const name of await listIfThere(partial)) {
    if (!name.startsWith(PREFIX)) continue;
    const path = join(partial, name);
    const content = await readSmallFile(path, MAX_SIZE);
    const status = await lookAt(path);
    if (!content || !status) continue;
    const [owner = "", ...digests] = content.toString().split("\n");
    if (await isOwnerGone(owner)) await removeFile(path).catch(ignoreReadOnly);
    else holds.push({ digests, touched: status.mtimeMs });
  }
  return holds;
}

async function isOwnerGone(text: string): Promise<boolean> {
  try {
    const owner: unknown = JSON.parse(text);
    return isIdentity(owner) && (await isGone(owner));
  } catch (error) {
    // It is just being written.
    if (error instanceof SyntaxError) return false;
    throw error;
  }
}

function ignoreReadOnly(error: unknown): void {
  if (!isReadOnly(error)) throw error;
}

/**
 * What time it is for the file system, in milliseconds: another machine's clock may differ, and
 * times of files are compared with each other alone.
 */
export async function fileClock(directory: string): Promise<number> {
  const path = join(directory, `clock.${randomBytes(8).toString("hex")}`);
  try {
    const handle = await open(path, "wx", 0o644);
    try {
      return (await handle.stat()).mtimeMs;
    } finally {
      await handle.close();
      await unlink(path).catch(() => {});
    }
  } catch {
    return Date.now();
  }
}
