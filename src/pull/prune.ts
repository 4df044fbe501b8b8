/** Making room in the cache: what nothing names any more, and what wasn't used for long. */
import type { Cache } from "./cache.ts";
import { type CacheContents, type CachedView, readContents } from "./contents.ts";
import { fileClock, heldDigests, TIME_TO_LIVE } from "./hold.ts";
import { unusedBlobs } from "./remove.ts";
import { foresee, type Selection, type Sweep, sweep } from "./sweep.ts";

export interface PruneOptions {
  readonly cache: Cache;
  /** Milliseconds: views that weren't pulled for this long go, named or not. @default none */
  readonly olderThan?: number | undefined;
  /** Bytes: the least recently used views go until the cache has no more. @default no limit */
  readonly keepSize?: number | undefined;
  /** Only tell what would go. @default false */
  readonly dryRun?: boolean | undefined;
}

/** Milliseconds for which what nothing names stays: somebody may be about to go on with it. */
const GRACE = 60 * 60 * 1000;

/**
 * Removes, least recently used first: views that nothing names, blobs that no view uses and
 * unfinished work without a living owner, when they are older than an hour or than `olderThan`; and
 * the views that the options are about.
 */
export async function pruneCache(options: PruneOptions): Promise<Sweep> {
  const { cache, dryRun } = options;
  const contents = await readContents(cache);
  const now = dryRun ? Date.now() : await fileClock(cache.blobs.partial);
  const selection = select(contents, options, now, await heldDigests(cache.blobs.partial));
  return dryRun ? foresee(cache, contents, selection) : sweep(cache, selection);
}

function select(
  contents: CacheContents,
  { olderThan, keepSize }: PruneOptions,
  now: number,
  held: ReadonlySet<string>,
): Selection {
  const grace = olderThan ?? GRACE;
  const isOld = (time: number) => now - time >= grace;
  const views = new Set<CachedView>();
  for (const view of contents.views) {
    if (!isOld(view.used) || held.has(view.digest)) continue;
    if (view.names.length === 0 || olderThan !== undefined) views.add(view);
  }
  const work = contents.work.filter(
    ({ changed }) => isOld(changed) && now - changed > TIME_TO_LIVE,
  );
  const orphans = unusedBlobs(contents).filter(
    (digest) => isOld(contents.blobs.get(digest)?.changed ?? 0) && !held.has(digest),
  );
  if (keepSize !== undefined) {
    shrink(contents, views, keepSize, held, [
      ...work.map(({ size }) => size),
      ...orphans.map((digest) => contents.blobs.get(digest)?.size ?? 0),
    ]);
  }
  const gone = contents.views.filter((view) => views.has(view));
  const candidates = new Set([...orphans, ...gone.flatMap(({ blobs }) => blobs)]);
  const present = new Set(contents.views.map(({ digest }) => digest));
  const astray = contents.names.filter(
    ({ digest }) => digest === undefined || !present.has(digest),
  );
  return {
    names: [...gone.flatMap((view) => view.names), ...astray],
    views: gone,
    blobs: unusedBlobs(contents, gone).filter((digest) => candidates.has(digest)),
    work,
  };
}

/**
 * Adds views until what is left fits.
 *
 * @param freed sizes of what goes anyway
 */
function shrink(
  { views, blobs, size }: CacheContents,
  going: Set<CachedView>,
  keepSize: number,
  held: ReadonlySet<string>,
  freed: readonly number[],
): void {
  const uses = new Map<string, number>();
  for (const view of views) {
    for (const blob of view.blobs) uses.set(blob, (uses.get(blob) ?? 0) + 1);
  }
  let left = freed.reduce((rest, bytes) => rest - bytes, size);
  const leave = (view: CachedView) => {
    left -= view.ownSize;
    for (const blob of view.blobs) {
      const others = (uses.get(blob) ?? 1) - 1;
      uses.set(blob, others);
      if (others === 0) left -= blobs.get(blob as never)?.size ?? 0;
    }
  };
  for (const view of going) leave(view);
  for (const view of views) {
    if (left <= keepSize) return;
    if (going.has(view) || held.has(view.digest)) continue;
    going.add(view);
    leave(view);
  }
}
