/**
 * Taking views, blobs and unfinished work out of a cache that others use at the same time. What goes
 * is first moved to a place of its own, then it is looked again whether somebody has come to need
 * it, and only what nobody needs is removed: see hold.ts.
 */
import { randomBytes } from "node:crypto";
import { mkdir, readdir, rename, rm } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { isMissing } from "../lib/durable.ts";
import type { Digest } from "../oci/digest.ts";
import type { Cache, CacheName } from "./cache.ts";
import { type CacheContents, type CachedView, type CachedWork, readContents } from "./contents.ts";
import { heldDigests } from "./hold.ts";
import { RECORD_NAME } from "./record.ts";
import { lookAt, ownDirectory, removeFile } from "./removal.ts";

/** What is to go. */
export interface Selection {
  readonly names: readonly CacheName[];
  readonly views: readonly CachedView[];
  readonly blobs: readonly Digest[];
  readonly work: readonly CachedWork[];
}

/** What went. */
export interface Sweep {
  /** Canonical references, each once. */
  readonly references: readonly string[];
  readonly views: readonly Digest[];
  readonly blobs: readonly Digest[];
  /** Things whose unfinished work went. */
  readonly unfinished: number;
  /** Bytes that the disk has again; what is also in an output directory stays on it. */
  readonly freed: number;
  /** Views that stay because a pull needs them or has just used them. */
  readonly kept: readonly Digest[];
}

/** Something that was moved to the trash. */
interface Moved {
  readonly from: string;
  readonly to: string;
}

const nothing: Sweep = {
  references: [],
  views: [],
  blobs: [],
  unfinished: 0,
  freed: 0,
  kept: [],
};

/** @throws {Failure} `disk` when a directory of the cache leads out of it: then nothing went */
export async function sweep(cache: Cache, selection: Selection): Promise<Sweep> {
  const { names, work } = selection;
  if (Object.values(selection).every((part) => part.length === 0)) return nothing;
  for (const part of ["views", "blobs", "partial", "references", "platforms"]) {
    await ownDirectory(cache.root, part);
  }
  const held = await heldDigests(cache.blobs.partial);
  await using trash = await Trash.open(cache);
  await removeNames(cache, names, held.size > 0);
  const views = new Map<CachedView, Moved>();
  for (const view of selection.views) {
    if (held.has(view.digest)) continue;
    const moved = await trash.move("views", basename(cache.viewPath(view.digest)));
    if (moved) views.set(view, moved);
  }
  const blobs = new Map<Digest, Moved>();
  for (const digest of selection.blobs) {
    if (held.has(digest)) continue;
    const path = cache.blobs.path(digest);
    const moved = await trash.move("blobs", basename(dirname(path)), basename(path));
    if (moved) blobs.set(digest, moved);
  }
  await putBackNeeded(cache, trash, views, blobs);
  const unfinished = await sweepWork(work, trash);
  const gone = [...views.keys()].map(({ digest }) => digest);
  return {
    references: referencesOf(names),
    views: gone,
    blobs: [...blobs.keys()],
    unfinished,
    freed: await trash.empty(),
    kept: selection.views.map(({ digest }) => digest).filter((digest) => !gone.includes(digest)),
  };
}

/**
 * Puts back what somebody has come to need. Whoever does has said so before looking for it, and was
 * then seen here, or finds it missing and fetches it.
 */
async function putBackNeeded(
  cache: Cache,
  trash: Trash,
  views: Map<CachedView, Moved>,
  blobs: Map<Digest, Moved>,
): Promise<void> {
  const needed = await heldDigests(cache.blobs.partial);
  const contents = await readContents(cache);
  const named = new Set(contents.names.map(({ digest }) => digest));
  for (const [view, moved] of views) {
    const isNeeded = needed.has(view.digest) || named.has(view.digest);
    if (!isNeeded && !(await wasUsed(view, moved))) continue;
    if (await trash.putBack(moved)) views.delete(view);
    for (const blob of view.blobs) needed.add(blob);
  }
  for (const view of contents.views) for (const blob of view.blobs) needed.add(blob);
  for (const [digest, moved] of blobs) {
    if (needed.has(digest) && (await trash.putBack(moved))) blobs.delete(digest);
  }
}

function referencesOf(names: readonly CacheName[]): string[] {
  return [...new Set(names.map(({ reference }) => reference))];
}

/** What a sweep would do, when nobody else came. */
export async function foresee(
  cache: Cache,
  { blobs: present }: CacheContents,
  { names, views, blobs, work }: Selection,
): Promise<Sweep> {
  const held = await heldDigests(cache.blobs.partial);
  const going = views.filter(({ digest }) => !held.has(digest));
  const goingBlobs = blobs.filter((digest) => !held.has(digest));
  const sizes = [
    ...going.map(({ ownSize }) => ownSize),
    ...goingBlobs.map((digest) => present.get(digest)?.size ?? 0),
    ...work.map(({ size }) => size),
  ];
  return {
    references: referencesOf(names),
    views: going.map(({ digest }) => digest),
    blobs: goingBlobs,
    unfinished: work.length,
    freed: sizes.reduce((sum, size) => sum + size, 0),
    kept: views.filter(({ digest }) => held.has(digest)).map(({ digest }) => digest),
  };
}

/** @param isBusy whether a pull is running: one may be about to use the name that it owns */
async function removeNames(
  cache: Cache,
  names: readonly CacheName[],
  isBusy: boolean,
): Promise<void> {
  for (const name of names) {
    if (!(await cache.forget(name)) || isBusy) continue;
    await removeFile(join(cache.root, "references", name.name));
  }
}

/** Whether a view was pulled since we looked at it: that leaves its time behind. */
async function wasUsed({ used }: CachedView, { to }: Moved): Promise<boolean> {
  const status = (await lookAt(join(to, RECORD_NAME))) ?? (await lookAt(to));
  return status !== undefined && status.mtimeMs > used;
}

async function sweepWork(work: readonly CachedWork[], trash: Trash): Promise<number> {
  let count = 0;
  for (const { entries, changed } of work) {
    const moved: Moved[] = [];
    for (const entry of entries) {
      const one = await trash.move("partial", entry);
      if (one) moved.push(one);
    }
    const times = await Promise.all(moved.map(async ({ to }) => (await lookAt(to))?.mtimeMs ?? 0));
    if (Math.max(...times) <= changed) count++;
    else for (const one of moved) await trash.putBack(one);
  }
  return count;
}

/** A directory of our own in `partial/`, on the file system of all that goes into it. */
class Trash implements AsyncDisposable {
  private next = 0;
  private readonly moved = new Set<Moved>();

  private constructor(
    private readonly root: string,
    private readonly path: string,
  ) {}

  static async open({ root, blobs }: Cache): Promise<Trash> {
    const path = join(blobs.partial, `trash.${randomBytes(8).toString("hex")}`);
    await mkdir(blobs.partial, { recursive: true });
    await ownDirectory(root, basename(blobs.partial));
    await mkdir(path);
    return new Trash(root, path);
  }

  /** @param parts where it is below the cache's root; undefined when it isn't there */
  async move(...parts: readonly string[]): Promise<Moved | undefined> {
    const directory = await ownDirectory(this.root, ...parts.slice(0, -1));
    const name = parts.at(-1);
    if (directory === undefined || name === undefined) return undefined;
    const moved = { from: join(directory, name), to: join(this.path, String(this.next++)) };
    try {
      await rename(moved.from, moved.to);
    } catch (error) {
      if (isMissing(error)) return undefined;
      throw error;
    }
    this.moved.add(moved);
    return moved;
  }

  /** @returns false when something new is in its place */
  async putBack(moved: Moved): Promise<boolean> {
    if (await lookAt(moved.from)) return false;
    await rename(moved.to, moved.from);
    this.moved.delete(moved);
    return true;
  }

  /** @returns the bytes that became free */
  async empty(): Promise<number> {
    const links = new Map<string, number>();
    let freed = 0;
    for (const { to } of this.moved) freed += await freedBy(to, links);
    await this[Symbol.asyncDispose]();
    return freed;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.path, { recursive: true, force: true });
  }
}

/**
 * The bytes that become free with a tree.
 *
 * @param links how many names of a file have been counted, by its number
 */
async function freedBy(path: string, links: Map<string, number>): Promise<number> {
  const status = await lookAt(path);
  if (!status) return 0;
  if (status.isDirectory()) {
    let freed = 0;
    for (const name of await readdir(path)) freed += await freedBy(join(path, name), links);
    return freed;
  }
  const file = `${status.dev}:${status.ino}`;
  const seen = (links.get(file) ?? 0) + 1;
  links.set(file, seen);
  return seen === status.nlink && status.isFile() ? Math.min(status.size, status.blocks * 512) : 0;
}
