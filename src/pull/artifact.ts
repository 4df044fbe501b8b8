/** Finding the manifest that a reference means, in the cache or in the registry. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { isMissing } from "../lib/durable.ts";
import { Failure } from "../lib/failure.ts";
import type { Platform } from "../oci/descriptor.ts";
import { algorithmOf, type Digest, digestOf } from "../oci/digest.ts";
import { type Manifest, parseManifest } from "../oci/manifest.ts";
import { hostPlatform, NoSuchPlatformError, selectPlatform } from "../oci/partial.ts";
import { formatReference, type Reference } from "../oci/reference.ts";
import type { RegistryClient } from "../registry/client.ts";
import type { Cache } from "./cache.ts";
import { RECORD_NAME, readRecord } from "./record.ts";

/** A manifest that isn't an index, with its exact bytes. */
export interface Artifact {
  readonly digest: Digest;
  readonly bytes: Uint8Array;
  readonly manifest: Manifest;
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

/** Indexes within indexes. */
const MAX_DEPTH = 4;

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
  const { reference, client, signal } = options;
  let current: Reference = reference;
  for (let depth = 0; depth < MAX_DEPTH; depth++) {
    const cached = cache && current.digest && (await readCached(cache, current.digest));
    if (cached) return cached;
    const { descriptor, bytes, manifest } = await client.getManifest(current, signal);
    if (manifest.kind !== "index") return { digest: descriptor.digest, bytes, manifest };
    const { registry, repository } = reference;
    const { digest } = choose(manifest.content.manifests, options);
    current = { registry, repository, digest };
  }
  throw new Failure("content", `${formatReference(reference)} has indexes within indexes`);
}

/** What the cache has for a reference, without asking anybody; undefined when it has nothing. */
async function findInCache({ reference, cache }: FindOptions): Promise<Artifact | undefined> {
  const direct = reference.digest && (await readCached(cache, reference.digest));
  if (direct) return direct;
  // A digest may be that of an index, whose choice the reference's link remembers.
  const digest = await cache.find(reference);
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

async function readCached(cache: Cache, digest: Digest): Promise<Artifact | undefined> {
  const view = cache.viewPath(digest);
  const record = await readRecord(join(view, RECORD_NAME));
  if (!record) return undefined;
  let bytes: Uint8Array;
  try {
    bytes = await readFile(join(view, "manifest.json"));
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
  if (digestOf(bytes, algorithmOf(digest)) !== digest) return undefined;
  return { digest, bytes, manifest: parseManifest(bytes, record.mediaType) };
}

function choose(
  manifests: Parameters<typeof selectPlatform>[0],
  { reference, platform }: FetchOptions,
): ReturnType<typeof selectPlatform> {
  try {
    return selectPlatform(manifests, platform ?? hostPlatform());
  } catch (error) {
    if (!(error instanceof NoSuchPlatformError)) throw error;
    throw new Failure("not-found", `${formatReference(reference)}: ${error.message}`, {
      cause: error,
    });
  }
}
