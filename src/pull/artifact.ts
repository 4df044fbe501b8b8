/** Finding the manifest that a reference means, in the cache or in the registry. */
import { join } from "node:path";
import { Failure } from "../lib/failure.ts";
import { readSmallFile } from "../lib/small-file.ts";
import type { Descriptor, Platform } from "../oci/descriptor.ts";
import { algorithmOf, type Digest, digestOf } from "../oci/digest.ts";
import { MAX_MANIFEST_SIZE, type Manifest, parseManifest } from "../oci/manifest.ts";
import { hostPlatform, NoSuchPlatformError, offerFor } from "../oci/partial.ts";
import { formatReference, type Reference } from "../oci/reference.ts";
import type { RegistryClient } from "../registry/client.ts";
import type { Cache } from "./cache.ts";
import { RECORD_NAME, readRecord } from "./record.ts";

/** A manifest that isn't an index, with its exact bytes. */
export interface Artifact {
  readonly digest: Digest;
  readonly bytes: Uint8Array;
  readonly manifest: Manifest;
  /** For which it was chosen, when the reference means an index. */
  readonly platform?: Platform;
}

export interface FetchOptions {
  readonly reference: Reference;
  readonly client: RegistryClient;
  /** Which manifest of an index. @default the platform of this process */
  readonly platform?: Platform | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface FindOptions extends FetchOptions {
  readonly cache: Cache;
  /** Ask the cache alone. */
  readonly offline?: boolean | undefined;
}

/** Indexes within indexes, and manifests that are fetched to find one. */
const MAX_DEPTH = 4;
const MAX_FETCHED = 16;

/**
 * The manifest that a reference means, from the cache or the registry. A tag is asked for at the
 * registry, once; what is wanted by digest comes from the cache when it is there.
 *
 * @throws {Failure} `offline` when it isn't in the cache and may not be asked for; else like
 *   {@link fetchArtifact}
 */
export async function findArtifact(options: FindOptions): Promise<Artifact> {
  const { cache, offline } = options;
  return offline ? findCached(options) : fetchArtifact(options, cache);
}

/**
 * The manifest that a reference means at the registry.
 *
 * @param cache where manifests that are wanted by digest are looked for first
 * @throws {Failure} `not-found` when an index has nothing for the platform; what the client throws
 */
export async function fetchArtifact(options: FetchOptions, cache?: Cache): Promise<Artifact> {
  const { reference } = options;
  const found = await fetchOne(reference, options, cache);
  if ("artifact" in found) return found.artifact;
  const platform = options.platform ?? hostPlatform();
  const search = new IndexSearch(platform, options, cache);
  const artifact = await search.run(found.manifests, options.platform === undefined);
  if (artifact) return { ...artifact, platform };
  const error = new NoSuchPlatformError(platform, search.offered);
  throw new Failure(
    "not-found",
    `${formatReference(reference)}: ${error.message}: choose with --platform, or by digest`,
    { cause: error },
  );
}

type Found = { readonly artifact: Artifact } | { readonly manifests: readonly Descriptor[] };

async function fetchOne(
  reference: Reference,
  { client, signal }: FetchOptions,
  cache: Cache | undefined,
): Promise<Found> {
  const cached = cache && reference.digest && (await readCached(cache, reference.digest));
  if (cached) return { artifact: cached };
  const { descriptor, bytes, manifest } = await client.getManifest(reference, signal);
  return manifest.kind === "index"
    ? { manifests: manifest.content.manifests }
    : { artifact: { digest: descriptor.digest, bytes, manifest } };
}

/** The search for a platform's manifest in an index and the indexes within it. */
class IndexSearch {
  /** What there was to choose from, attestations aside. */
  readonly offered: Descriptor[] = [];
  private fetched = 0;

  constructor(
    private readonly platform: Platform,
    private readonly options: FetchOptions,
    private readonly cache: Cache | undefined,
  ) {}

  async run(
    manifests: readonly Descriptor[],
    isGuess: boolean,
    depth = 1,
  ): Promise<Artifact | undefined> {
    const { match, indexes, fallback, offered } = offerFor(manifests, this.platform, isGuess);
    this.offered.push(...offered.filter((descriptor) => !indexes.includes(descriptor)));
    if (match) return this.open(match, isGuess, depth);
    for (const index of indexes) {
      // Where there are several, the only entry of one of them is no obvious choice.
      const found = await this.open(index, isGuess && indexes.length === 1, depth);
      if (found) return found;
    }
    return fallback && !indexes.includes(fallback)
      ? this.open(fallback, isGuess, depth)
      : undefined;
  }

  private async open(
    { digest }: Descriptor,
    isGuess: boolean,
    depth: number,
  ): Promise<Artifact | undefined> {
    const { registry, repository } = this.options.reference;
    if (depth >= MAX_DEPTH || ++this.fetched > MAX_FETCHED) {
      const what = formatReference(this.options.reference);
      throw new Failure("content", `${what} has too many indexes within indexes`);
    }
    const found = await fetchOne({ registry, repository, digest }, this.options, this.cache);
    return "artifact" in found ? found.artifact : this.run(found.manifests, isGuess, depth + 1);
  }
}

/** What the cache has for a reference, without asking anybody; undefined when it has nothing. */
async function findInCache({
  reference,
  cache,
  platform = hostPlatform(),
}: FindOptions): Promise<Artifact | undefined> {
  const direct = reference.digest && (await readCached(cache, reference.digest));
  if (direct) return direct;
  // A digest may be that of an index, whose choice the reference's link remembers.
  const digest = await cache.find(reference, platform);
  return digest && readCached(cache, digest);
}

async function findCached(options: FindOptions): Promise<Artifact> {
  const artifact = await findInCache(options);
  if (artifact) return artifact;
  throw new Failure(
    "offline",
    `${formatReference(options.reference)} isn't in the cache ${JSON.stringify(options.cache.root)}, and --offline forbids to fetch it: pull it once without`,
  );
}

/** The manifest of a view; undefined when there is none, or it isn't what it was. */
export async function readCached(cache: Cache, digest: Digest): Promise<Artifact | undefined> {
  const view = cache.viewPath(digest);
  const record = await readRecord(join(view, RECORD_NAME));
  if (!record) return undefined;
  const bytes = await readSmallFile(join(view, "manifest.json"), MAX_MANIFEST_SIZE);
  if (!bytes || digestOf(bytes, algorithmOf(digest)) !== digest) return undefined;
  return { digest, bytes, manifest: parseManifest(bytes, record.mediaType) };
}
