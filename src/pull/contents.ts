/** What a cache holds: its views, blobs and unfinished work, and what they cost. */
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { isMissing, listIfThere } from "../lib/durable.ts";
import { mapConcurrently } from "../lib/pool.ts";
import { readSmallFile } from "../lib/small-file.ts";
import { algorithmOf, type Digest, digestOf, encodedOf, isDigest } from "../oci/digest.ts";
import { InvalidManifestError, MAX_MANIFEST_SIZE, parseManifest } from "../oci/manifest.ts";
import { blobsOf } from "../oci/partial.ts";
import { type Cache, type CacheName, digestOfView } from "./cache.ts";
import { isIntact, type ModelRecord, RECORD_NAME, readRecord } from "./record.ts";
import { lookAt } from "./removal.ts";
import { modelPath } from "./view.ts";

/** Files that are looked at at a time. */
const LOOKS = 16;

export interface CachedBlob {
  readonly digest: Digest;
  /** Bytes. */
  readonly size: number;
  /** Milliseconds since 1970. */
  readonly changed: number;
}

export interface CachedView {
  /** Of the manifest. */
  readonly digest: Digest;
  /** Those whose name leads here. */
  readonly names: readonly CacheName[];
  /** Undefined when its record can't be read: the next pull makes it anew. */
  readonly record: ModelRecord | undefined;
  /** Whether all of the manifest's files are here, by their sizes. */
  readonly complete: boolean;
  /** Blobs that its manifest names, whether they are here or not. */
  readonly blobs: readonly Digest[];
  /** Bytes of its blobs that are here, and of its own files. */
  readonly size: number;
  /** Bytes of the files that are no blobs: what was unpacked. */
  readonly ownSize: number;
  /** When it was pulled last, in milliseconds since 1970. */
  readonly used: number;
}

/** Unfinished work on one thing. */
export interface CachedWork {
  /** Names in `partial/`. */
  readonly entries: readonly string[];
  /** Bytes on disk. */
  readonly size: number;
  /** The last sign of life, in milliseconds since 1970. */
  readonly changed: number;
}

export interface CacheContents {
  /** The least recently used first. */
  readonly views: readonly CachedView[];
  /** References, also those that lead nowhere any more. */
  readonly names: readonly CacheName[];
  readonly blobs: ReadonlyMap<Digest, CachedBlob>;
  readonly work: readonly CachedWork[];
  /** Bytes; what several views share counts once. */
  readonly size: number;
}

/** Reads manifests, records and sizes; no content. */
export async function readContents(cache: Cache): Promise<CacheContents> {
  const names = await cache.names();
  const blobs = await readBlobs(cache);
  const namesOf = Map.groupBy(names, ({ digest }) => digest);
  const digests = await listViews(cache);
  const views = await mapConcurrently(digests, LOOKS, (digest) =>
    readCachedView(cache, digest, blobs, namesOf.get(digest) ?? []),
  );
  views.sort((a, b) => a.used - b.used || (a.digest < b.digest ? -1 : 1));
  const work = await readWork(cache.blobs.partial);
  const sizes = [
    ...views.map(({ ownSize }) => ownSize),
    ...[...blobs.values(), ...work].map(sizeOf),
  ];
  return { views, names, blobs, work, size: sizes.reduce((sum, size) => sum + size, 0) };
}

const sizeOf = ({ size }: { readonly size: number }) => size;

/** The manifests that have a view. */
export async function listViews(cache: Cache): Promise<Digest[]> {
  const names = await listIfThere(join(cache.root, "views"));
  return names.map(digestOfView).filter((digest) => digest !== undefined);
}

/** The blobs that the manifest of a view names; none when it can't be read. */
async function blobsOfView(
  cache: Cache,
  digest: Digest,
  mediaType: string | undefined,
): Promise<Digest[]> {
  const path = join(cache.viewPath(digest), "manifest.json");
  const bytes = await readSmallFile(path, MAX_MANIFEST_SIZE);
  if (!bytes || digestOf(bytes, algorithmOf(digest)) !== digest) return [];
  try {
    return blobsOf(parseManifest(bytes, mediaType)).map((blob) => blob.digest);
  } catch (error) {
    if (error instanceof InvalidManifestError) return [];
    throw error;
  }
}

async function readCachedView(
  cache: Cache,
  digest: Digest,
  present: ReadonlyMap<Digest, CachedBlob>,
  names: readonly CacheName[],
): Promise<CachedView> {
  const path = join(cache.viewPath(digest), RECORD_NAME);
  const record = await readRecord(path);
  const named = await blobsOfView(cache, digest, record?.mediaType);
  const status = (await lookAt(path)) ?? (await lookAt(cache.viewPath(digest)));
  const blobs = [...new Set([...named, ...(record?.layers ?? [])])];
  const own = (record?.files ?? []).filter((file) => !present.has(file.digest));
  const ownSize = own.reduce((sum, file) => sum + file.size, 0);
  const shared = blobs.reduce((sum, blob) => sum + (present.get(blob)?.size ?? 0), 0);
  return {
    digest,
    names,
    record,
    complete: record?.complete === true && (await isIntact(record, modelPath(cache, digest))),
    blobs,
    size: shared + ownSize,
    ownSize,
    used: status?.mtimeMs ?? 0,
  };
}

async function readBlobs(cache: Cache): Promise<Map<Digest, CachedBlob>> {
  const found = new Map<Digest, CachedBlob>();
  for (const algorithm of await listIfThere(join(cache.root, "blobs"))) {
    const directory = join(cache.root, "blobs", algorithm);
    await mapConcurrently(await listIfThere(directory), LOOKS, async (name) => {
      const digest = `${algorithm}:${name}`;
      if (!isDigest(digest) || encodedOf(digest) !== name) return;
      const status = await lookAt(join(directory, name));
      if (!status) return;
      found.set(digest, { digest, size: status.size, changed: status.mtimeMs });
    });
  }
  return found;
}

/** Data, journal and lease of one thing have one beginning; what is on its own stands for itself. */
async function readWork(partial: string): Promise<CachedWork[]> {
  const names = await listIfThere(partial);
  const groups = Map.groupBy(
    names,
    (name) => /^(?:[a-z0-9]+-|view-|output)[^.]*/.exec(name)?.[0] ?? name,
  );
  return Promise.all(
    [...groups.values()].map(async (entries) => {
      const costs = await Promise.all(entries.map((name) => costOf(join(partial, name))));
      return {
        entries,
        size: costs.reduce((sum, cost) => sum + cost.size, 0),
        changed: Math.max(...costs.map(({ changed }) => changed)),
      };
    }),
  );
}

/** Of a file or a tree; a sparse file costs what it has on disk. */
async function costOf(path: string): Promise<{ size: number; changed: number }> {
  const status = await lookAt(path);
  if (!status) return { size: 0, changed: 0 };
  let size = status.isFile() ? status.blocks * 512 : 0;
  let changed = status.mtimeMs;
  if (!status.isDirectory()) return { size, changed };
  for (const name of await readdir(path).catch(noneIfMissing)) {
    const cost = await costOf(join(path, name));
    size += cost.size;
    changed = Math.max(changed, cost.changed);
  }
  return { size, changed };
}

function noneIfMissing(error: unknown): string[] {
  if (isMissing(error)) return [];
  throw error;
}
