/** Reading again what a cache holds, and removing what isn't what its digest says. */
import { readlink } from "node:fs/promises";
import { dirname, join, relative, resolve } from "node:path";
import { isMissing, listIfThere } from "../lib/durable.ts";
import { readSmallFile } from "../lib/small-file.ts";
import { algorithmOf, type Digest, digestOf, encodedOf } from "../oci/digest.ts";
import { MAX_MANIFEST_SIZE } from "../oci/manifest.ts";
import { digestFile } from "./blobs.ts";
import type { Cache } from "./cache.ts";
import { type EventListener, ProgressMeter, type Subject } from "./events.ts";
import { RECORD_NAME, readRecord } from "./record.ts";
import { isOwnTree, lookAt, ownDirectory, removeDirectory, removeFile } from "./removal.ts";

export interface VerifyOptions {
  readonly cache: Cache;
  /** Those that aren't there are passed over. */
  readonly blobs: readonly Digest[];
  /** By the digests of their manifests. */
  readonly views: readonly Digest[];
  readonly onEvent?: EventListener | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface Verification {
  /** Files that are right. */
  readonly right: number;
  /** Bytes that were read. */
  readonly bytes: number;
  /** What was removed, relative to the cache. */
  readonly damaged: readonly string[];
}

/** A file, and what it should hold. */
interface Expected {
  readonly path: string;
  readonly digest: Digest;
  /** Bytes. */
  readonly size: number;
  /** Tells files apart: one that has several names is read once. */
  readonly file: string;
  /** The view that it is a part of. */
  readonly view?: string;
}

/**
 * Hashes blobs and the files of views. What isn't right is removed, and the record of its view too,
 * so that the next pull fetches it and puts it back. Other processes may pull meanwhile: only the
 * very file that was read is removed.
 *
 * @throws {Failure} `disk` when a directory of the cache leads out of it
 */
export async function verifyCache(options: VerifyOptions): Promise<Verification> {
  const { cache, onEvent, signal } = options;
  await ownDirectory(cache.root, "views");
  const damaged: string[] = [];
  const remove = async (path: string) => {
    await removeFile(path);
    damaged.push(relative(cache.root, path));
  };

  const expected: Expected[] = [];
  for (const algorithm of new Set(options.blobs.map(algorithmOf))) {
    await ownDirectory(cache.root, "blobs", algorithm);
  }
  for (const digest of options.blobs) {
    await expectFile(cache.blobs.path(digest), digest, cache, expected, remove);
  }
  for (const digest of options.views) await expectView(digest, cache, expected, remove, damaged);

  const hashes = new Map<string, Digest>();
  const sizes = new Map(expected.map(({ file, size }) => [file, size]));
  const total = sizes.values().reduce((sum, size) => sum + size, 0);
  using meter = new ProgressMeter(total, onEvent, "check");
  let right = 0;
  for (const one of expected) {
    const subject = { digest: one.digest, size: one.size, path: relative(cache.root, one.path) };
    const actual = hashes.get(one.file) ?? (await hash(one, subject, meter, signal));
    if (actual === undefined) continue;
    hashes.set(one.file, actual);
    if (actual === one.digest) {
      right++;
      continue;
    }
    // Unless somebody has put another file in its place.
    if (fileOf(await lookAt(one.path), one.digest) !== one.file) continue;
    await remove(one.path);
    if (one.view !== undefined) await removeFile(join(one.view, RECORD_NAME));
  }
  meter.done();
  return { right, bytes: total, damaged };
}

/** @returns undefined when the file has gone */
async function hash(
  { path, digest, size }: Expected,
  subject: Subject,
  meter: ProgressMeter,
  signal: AbortSignal | undefined,
): Promise<Digest | undefined> {
  try {
    const actual = await digestFile(path, algorithmOf(digest), signal, (count) =>
      meter.advance(count, subject),
    );
    if (actual === digest) meter.verified(subject);
    return actual;
  } catch (error) {
    if (!isMissing(error)) throw error;
    meter.skip(size);
    return undefined;
  }
}

type Remove = (path: string) => Promise<void>;

/** Adds what has to be hashed of a path; what is no file at all goes at once. */
async function expectFile(
  path: string,
  digest: Digest,
  cache: Cache,
  expected: Expected[],
  remove: Remove,
  view?: string,
): Promise<void> {
  const status = await lookAt(path);
  if (!status) return;
  const file = fileOf(status, digest);
  if (file !== undefined) {
    expected.push({ path, digest, size: status.size, file, ...(view !== undefined && { view }) });
    return;
  }
  const blob = cache.blobs.path(digest);
  // A symlink of ours, for file systems without links: the blob is verified by itself.
  if (status.isSymbolicLink() && resolve(dirname(path), await readlink(path)) === blob) return;
  await remove(path);
  if (view !== undefined) await removeFile(join(view, RECORD_NAME));
}

/** Undefined for what isn't a regular file. A file has one hash for each algorithm. */
function fileOf(status: Awaited<ReturnType<typeof lookAt>>, digest: Digest): string | undefined {
  return status?.isFile() ? `${algorithmOf(digest)}:${status.dev}:${status.ino}` : undefined;
}

/** Adds the files of a view that have a digest: the model, what was unpacked, the layers. */
async function expectView(
  digest: Digest,
  cache: Cache,
  expected: Expected[],
  remove: Remove,
  damaged: string[],
): Promise<void> {
  const view = cache.viewPath(digest);
  const status = await lookAt(view);
  if (!status) return;
  if (!status.isDirectory()) return remove(view);
  if (!(await isOwnTree(view))) {
    await removeDirectory(view);
    damaged.push(relative(cache.root, view));
    return;
  }
  const manifest = join(view, "manifest.json");
  const bytes = await readSmallFile(manifest, MAX_MANIFEST_SIZE);
  const record = await readRecord(join(view, RECORD_NAME));
  if (!bytes || digestOf(bytes, algorithmOf(digest)) !== digest) {
    if (await lookAt(manifest)) await remove(manifest);
    await removeFile(join(view, RECORD_NAME));
  }
  for (const file of record?.files ?? []) {
    for (const directory of ["model", "config"]) {
      const path = join(view, directory, file.path);
      await expectFile(path, file.digest, cache, expected, remove, view);
    }
  }
  const layers = new Map((record?.layers ?? []).map((layer) => [encodedOf(layer), layer]));
  for (const name of await listIfThere(join(view, "layers"))) {
    const layer = layers.get(/^\d+_([a-f0-9]+)/.exec(name)?.[1] ?? "");
    if (layer) await expectFile(join(view, "layers", name), layer, cache, expected, remove, view);
  }
}
