/** Removing what a user names from the cache: references, or views by digest. */
import { Failure } from "../lib/failure.ts";
import type { Digest } from "../oci/digest.ts";
import { formatReference, parseReference } from "../oci/reference.ts";
import type { Cache, CacheName } from "./cache.ts";
import { type CacheContents, type CachedView, readContents } from "./contents.ts";
import { foresee, type Selection, type Sweep, sweep } from "./sweep.ts";

/** A digest or its beginning, as `cache ls` shows it. */
const DIGEST = /^(?:sha256|sha512):[a-f0-9]{8,128}$/;

export interface RemoveOptions {
  readonly cache: Cache;
  /** References, or digests of views or their beginnings. */
  readonly words: readonly string[];
  /** Only tell what would go. @default false */
  readonly dryRun?: boolean | undefined;
}

/**
 * Forgets references, and removes the views that nothing names any more and their blobs that no
 * other view uses. A digest removes its view, and the references that lead to it. What a running
 * pull needs stays.
 *
 * @throws {Failure} `not-found` when one of them isn't in the cache: then nothing was removed;
 *   `usage` when the beginning of a digest is that of several
 */
export async function removeFromCache({ cache, words, dryRun }: RemoveOptions): Promise<Sweep> {
  const contents = await readContents(cache);
  const names = new Set<CacheName>();
  const forced = new Set<CachedView>();
  for (const word of words) {
    if (!DIGEST.test(word)) {
      for (const name of namesOf(contents, word, cache)) names.add(name);
      continue;
    }
    const view = viewOf(contents, word, cache);
    forced.add(view);
    for (const name of view.names) names.add(name);
  }
  const lost = new Set([...names].map(({ digest }) => digest));
  const views = contents.views.filter(
    (view) =>
      forced.has(view) || (lost.has(view.digest) && view.names.every((name) => names.has(name))),
  );
  const candidates = new Set(views.flatMap(({ blobs }) => blobs));
  const blobs = unusedBlobs(contents, views).filter((blob) => candidates.has(blob));
  const selection: Selection = { names: [...names], views, blobs, work: [] };
  return dryRun ? foresee(cache, contents, selection) : sweep(cache, selection);
}

/** The views that words name, as {@link removeFromCache} understands them. */
export function viewsOf(
  contents: CacheContents,
  words: readonly string[],
  cache: Cache,
): readonly CachedView[] {
  if (words.length === 0) return contents.views;
  const digests = words.flatMap((word) =>
    DIGEST.test(word)
      ? [viewOf(contents, word, cache).digest]
      : namesOf(contents, word, cache).map(({ digest }) => digest),
  );
  return contents.views.filter(({ digest }) => digests.includes(digest));
}

/** The blobs that no view uses, `without` some views. */
export function unusedBlobs(
  { blobs, views }: CacheContents,
  without: readonly CachedView[] = [],
): Digest[] {
  const gone = new Set(without);
  const used = new Set(views.filter((view) => !gone.has(view)).flatMap((view) => view.blobs));
  return [...blobs.keys()].filter((digest) => !used.has(digest));
}

function namesOf({ names }: CacheContents, word: string, { root }: Cache): CacheName[] {
  const reference = formatReference(parseReference(word));
  const found = names.filter((name) => name.reference === reference);
  if (found.length > 0) return found;
  throw new Failure(
    "not-found",
    `${reference} isn't in the cache ${JSON.stringify(root)}: 'ocireg cache ls' lists what is`,
  );
}

function viewOf({ views }: CacheContents, word: string, { root }: Cache): CachedView {
  const [view, other] = views.filter(({ digest }) => digest.startsWith(word));
  if (!view) {
    throw new Failure(
      "not-found",
      `${word} has no view in the cache ${JSON.stringify(root)}: 'ocireg cache ls' lists what has`,
    );
  }
  if (!other) return view;
  throw new Failure("usage", `${word} is the beginning of several digests: give more of it`);
}
