/** Manifests with everything below them, as far as another repository lacks it. */
import { Failure } from "../lib/failure.ts";
import type { Descriptor } from "../oci/descriptor.ts";
import { type Digest, isDigest } from "../oci/digest.ts";
import { isDistributable, isIndex, MANIFEST_TYPES } from "../oci/media-types.ts";
import { blobsOf, manifestsOf } from "../oci/partial.ts";
import { formatRepository, type Repository, withDigest } from "../oci/reference.ts";
import type { RegistryClient, RemoteManifest } from "../registry/client.ts";
import type { BlobId } from "./blobs.ts";
import { transferAll } from "./concurrently.ts";

export interface TreeOptions {
  readonly client: RegistryClient;
  readonly source: Repository;
  readonly target: Repository;
  readonly signal?: AbortSignal | undefined;
}

/** What has to be pushed for one manifest, blobs first. */
export interface ManifestTree {
  readonly blobs: readonly BlobId[];
  /** The manifests below it. Those of one level need only what is in the levels before. */
  readonly levels: readonly (readonly RemoteManifest[])[];
  /** The manifest itself; undefined where it didn't have to be read. */
  readonly root: RemoteManifest | undefined;
  /** Every manifest of the tree, also those that the target has. */
  readonly digests: ReadonlySet<Digest>;
}

/** Manifests that are looked for and read at a time. */
export const MANIFESTS_AT_ONCE = 4;
/** Indexes within indexes. */
const MAX_DEPTH = 8;
/** Bytes of all manifests that are kept until they are pushed. */
const MAX_BYTES = 32 * 1024 * 1024;

/**
 * Reads the tree of `root`. An image that the target has is taken to be there with its blobs,
 * because registries look for them when they take its manifest; the children of an index are looked
 * for one by one, because an index may come without them.
 *
 * @param isThere whether the target has the root itself
 * @throws {Failure} `not-found` where the source lacks a part; `content` where it is too large to be
 *   true or of a kind that nobody here can read
 */
export async function readTree(
  root: Descriptor,
  isThere: boolean,
  options: TreeOptions,
): Promise<ManifestTree> {
  const walk = new Walk(options);
  const { manifest } = await walk.visit(root, isThere, 0);
  const levels = walk.levels.map((level) => level.filter((entry) => entry !== manifest));
  return { blobs: [...walk.blobs.values()], levels, root: manifest, digests: walk.digests };
}

interface Visited {
  /** Levels below it. */
  readonly height: number;
  readonly manifest?: RemoteManifest;
}

class Walk {
  readonly blobs = new Map<Digest, BlobId>();
  readonly levels: RemoteManifest[][] = [];
  readonly digests = new Set<Digest>();
  readonly #children = new Map<Digest, Promise<Visited>>();
  #bytes = 0;

  constructor(readonly options: TreeOptions) {}

  async visit(
    { digest, mediaType }: Descriptor,
    isThere: boolean,
    depth: number,
  ): Promise<Visited> {
    this.digests.add(digest);
    if (isThere && !isIndex(mediaType)) return { height: 0 };
    const { client, source, signal } = this.options;
    const manifest = await client.getManifest(withDigest(source, digest), signal);
    this.#require(manifest, depth);
    for (const blob of blobsOf(manifest.manifest)) this.#addBlob(blob);
    const heights = await transferAll(
      manifestsOf(manifest.manifest),
      MANIFESTS_AT_ONCE,
      signal,
      async (child) => (await this.#visitChild(child, depth + 1)).height + 1,
    );
    const height = heights.reduce((highest, each) => Math.max(highest, each), 0);
    while (this.levels.length <= height) this.levels.push([]);
    if (!isThere) this.levels[height]?.push(manifest);
    return { height, manifest };
  }

  /** What an index names is a manifest, or (as in BuildKit's caches) a blob. */
  #visitChild(child: Descriptor, depth: number): Promise<Visited> {
    if (!MANIFEST_TYPES.includes(child.mediaType)) {
      this.#addBlob(child);
      return Promise.resolve({ height: 0 });
    }
    let visiting = this.#children.get(child.digest);
    if (!visiting) {
      visiting = this.#visitMissing(child, depth);
      this.#children.set(child.digest, visiting);
    }
    return visiting;
  }

  async #visitMissing(child: Descriptor, depth: number): Promise<Visited> {
    const { client, target, signal } = this.options;
    const found = await client.findManifest(withDigest(target, child.digest), signal);
    try {
      return await this.visit(child, found !== undefined, depth);
    } catch (error) {
      if (!(error instanceof Failure && error.kind === "not-found") || depth > 1) throw error;
      throw new Failure(
        "not-found",
        `${error.message}; the index names it: copy one of its platforms with --platform`,
        { cause: error },
      );
    }
  }

  #require({ manifest, bytes, descriptor }: RemoteManifest, depth: number): void {
    const refuse = (reason: string) =>
      new Failure(
        "content",
        `can't copy ${descriptor.digest} from "${formatRepository(this.options.source)}": ${reason}`,
      );
    if (manifest.kind === "other") {
      throw refuse(`nobody here knows what a ${JSON.stringify(manifest.mediaType)} consists of`);
    }
    if (depth > MAX_DEPTH) throw refuse(`it lies within more than ${MAX_DEPTH} indexes`);
    this.#bytes += bytes.byteLength;
    if (this.#bytes > MAX_BYTES)
      throw refuse(`there are more than ${MAX_BYTES} bytes of manifests`);
  }

  #addBlob({ digest, size, mediaType, urls }: Descriptor): void {
    if (!isDigest(digest)) {
      throw new Failure("content", `can't copy a blob with the digest ${JSON.stringify(digest)}`);
    }
    // It lies elsewhere, and by its licence must.
    if (!isDistributable(mediaType) && urls && urls.length > 0) return;
    this.blobs.set(digest, { digest, size });
  }
}
