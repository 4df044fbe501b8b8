import { readFile, rm, rmdir } from "node:fs/promises";
import { dirname } from "node:path";
import { isMissing, writeSynced } from "../../lib/durable.ts";
import { KeyedLock } from "../../lib/lock.ts";
import { LruCache } from "../../lib/lru.ts";
import { mapConcurrently } from "../../lib/pool.ts";
import type { Descriptor } from "../../oci/descriptor.ts";
import { algorithmOf, type Digest, digestOf, parseDigest } from "../../oci/digest.ts";
import { InvalidManifestError, type Manifest, parseManifest } from "../../oci/manifest.ts";
import { isDistributable } from "../../oci/media-types.ts";
import { blobsOf, manifestsOf, referrerOf, subjectOf } from "../../oci/partial.ts";
import { CorruptContentError, StorageError } from "../errors.ts";
import type {
  ManifestStore,
  Page,
  PageOptions,
  PutManifestOptions,
  PutManifestResult,
  SparsePolicy,
  StoredManifest,
} from "../store.ts";
import type { FilesystemBlobs } from "./blobs.ts";
import { Catalog } from "./catalog.ts";
import type { Layout } from "./layout.ts";
import { readLink, removeLink, writeLink, writeWithParents } from "./links.ts";
import { FilesystemReferrers } from "./referrers.ts";
import { FilesystemTags } from "./tags.ts";

/** Bytes of manifests kept in memory, by digest: content never changes, only links do. */
const cacheSize = 32 * 1024 * 1024;
/** Blobs whose presence is looked up at the same time. */
const lookups = 32;

/** Manifest bytes and, where they carry it, their media type. */
interface Cached {
  readonly bytes: Uint8Array;
  readonly mediaType: string | undefined;
}

/** Manifests: bytes under `blobs/`, existing in a repository by `revisions/…/link`. */
export class FilesystemManifests implements ManifestStore {
  private readonly tags: FilesystemTags;
  private readonly referrers: FilesystemReferrers;
  private readonly catalog: Catalog;
  /** A manifest that is deleted while it is pushed would leave tags of nothing. */
  private readonly changing = new KeyedLock();
  private readonly cache = new LruCache<Digest, Cached>(cacheSize, (m) => m.bytes.byteLength + 256);

  constructor(
    private readonly layout: Layout,
    private readonly blobs: FilesystemBlobs,
  ) {
    this.tags = new FilesystemTags(layout);
    this.catalog = new Catalog(layout.repositories);
    this.referrers = new FilesystemReferrers(layout, async (repository, digest) => {
      const manifest = await this.parsed(repository, digest);
      return manifest && subjectOf(manifest)?.digest;
    });
  }

  async getManifest(repository: string, reference: string): Promise<StoredManifest> {
    const digest = reference.includes(":")
      ? parseDigest(reference)
      : await this.tags.resolve(repository, reference);
    // What exists is what has a revision: a tag may outlive it.
    const target = digest && (await readLink(this.layout.revisionLink(repository, digest)));
    const stored = target && (await this.read(repository, target));
    if (!stored) throw unknown(repository, reference);
    return stored;
  }

  async putManifest(
    repository: string,
    { bytes, contentType, digest: wanted, tags, sparse }: PutManifestOptions,
  ): Promise<PutManifestResult> {
    const digest = digestOf(bytes, wanted && algorithmOf(wanted));
    if (wanted && digest !== wanted) {
      throw new StorageError(
        "DIGEST_INVALID",
        `the manifest hashes to ${digest}, not to ${wanted}`,
      );
    }
    const manifest = parse(bytes, contentType);
    for (const tag of tags) this.layout.tag(repository, tag);
    await this.requireContent(repository, manifest, sparse);

    const subject = subjectOf(manifest)?.digest;
    const temporary = this.layout.temporaryPath();
    try {
      await writeSynced(temporary, bytes, 0o666);
      await this.blobs.adopt(temporary, digest);
    } finally {
      await rm(temporary, { force: true });
    }
    await this.referrers.add(repository, subject, digest);
    await this.changing.run(`${repository}@${digest}`, async () => {
      if (!("mediaType" in manifest.content)) {
        const path = this.layout.revisionMediaType(repository, digest);
        await writeWithParents(this.layout, path, manifest.mediaType);
      }
      await writeLink(this.layout, this.layout.revisionLink(repository, digest), digest);
      for (const tag of tags) await this.tags.put(repository, tag, digest);
    });
    return { digest, ...(subject && { subject }) };
  }

  async deleteManifest(repository: string, reference: string): Promise<void> {
    if (!reference.includes(":")) {
      if (!(await this.tags.delete(repository, reference))) throw unknown(repository, reference);
      return;
    }
    const digest = parseDigest(reference);
    const link = this.layout.revisionLink(repository, digest);
    await this.changing.run(`${repository}@${digest}`, async () => {
      if (!(await readLink(link))) throw unknown(repository, reference);
      for (const tag of await this.tags.of(repository, digest)) {
        await this.tags.delete(repository, tag);
      }
      if (!(await removeLink(link))) throw unknown(repository, reference);
      await rm(this.layout.revisionMediaType(repository, digest), { force: true });
      await rmdir(dirname(link)).catch(() => {});
    });
  }

  listTags(repository: string, options?: PageOptions): Promise<Page<string>> {
    return this.tags.list(repository, options);
  }

  async *listReferrers(
    repository: string,
    subject: Digest,
    last?: string,
  ): AsyncGenerator<Descriptor> {
    for await (const digest of this.referrers.of(repository, subject, last)) {
      const stored = await this.read(repository, digest);
      const manifest = stored && this.parsedFrom(stored);
      // The index is a hint: what the manifest says counts.
      if (!manifest || subjectOf(manifest)?.digest !== subject) continue;
      yield referrerOf(manifest, stored.bytes, digest);
    }
  }

  listRepositories(options?: PageOptions): Promise<Page<string>> {
    return this.catalog.list(options);
  }

  /** The content of a manifest that exists; undefined when its bytes are gone. */
  private async read(repository: string, digest: Digest): Promise<StoredManifest | undefined> {
    const cached = this.cache.get(digest) ?? (await this.load(digest));
    if (!cached) return undefined;
    const mediaType = cached.mediaType ?? (await this.mediaTypeBeside(repository, digest));
    return { digest, bytes: cached.bytes, mediaType: mediaType ?? parse(cached.bytes).mediaType };
  }

  private async load(digest: Digest): Promise<Cached | undefined> {
    let bytes: Uint8Array;
    try {
      bytes = await readFile(this.layout.blobData(digest));
    } catch (error) {
      if (isMissing(error)) return undefined;
      throw error;
    }
    if (digestOf(bytes, algorithmOf(digest)) !== digest) {
      throw new CorruptContentError(`the stored manifest ${digest} doesn't match its digest`);
    }
    const cached = { bytes, mediaType: declaredMediaType(bytes) };
    this.cache.set(digest, cached);
    return cached;
  }

  private async mediaTypeBeside(repository: string, digest: Digest): Promise<string | undefined> {
    const path = this.layout.revisionMediaType(repository, digest);
    return readFile(path, "utf8").catch(() => undefined);
  }

  private async parsed(repository: string, digest: Digest): Promise<Manifest | undefined> {
    const stored = await this.read(repository, digest);
    return stored && this.parsedFrom(stored);
  }

  /** Undefined for what another registry has let in and nobody can read. */
  private parsedFrom({ bytes, mediaType }: StoredManifest): Manifest | undefined {
    try {
      return parseManifest(bytes, mediaType);
    } catch (error) {
      if (error instanceof InvalidManifestError) return undefined;
      throw error;
    }
  }

  /** @throws {StorageError} MANIFEST_BLOB_UNKNOWN with all digests that are missing */
  private async requireContent(
    repository: string,
    manifest: Manifest,
    sparse: SparsePolicy,
  ): Promise<void> {
    const blobs = sparse === "image" ? [] : blobsOf(manifest).filter(isStoredHere);
    const children = sparse === "none" ? manifestsOf(manifest) : [];
    const missing = (
      await Promise.all([
        mapConcurrently(digestsOf(blobs), lookups, async (digest) =>
          (await this.blobs.has(repository, digest)) ? [] : [digest],
        ),
        mapConcurrently(digestsOf(children), lookups, async (digest) =>
          (await readLink(this.layout.revisionLink(repository, digest))) ? [] : [digest],
        ),
      ])
    ).flat(2);
    if (missing.length > 0) {
      throw new StorageError(
        "MANIFEST_BLOB_UNKNOWN",
        `the manifest names content that repository ${repository} doesn't have: ${missing.slice(0, 5).join(", ")}${missing.length > 5 ? ` and ${missing.length - 5} more` : ""}`,
        { digests: missing.slice(0, 100) },
      );
    }
  }
}

/** Each digest once. */
function digestsOf(descriptors: readonly Descriptor[]): Digest[] {
  return [...new Set(descriptors.map(({ digest }) => digest))];
}

/** A layer that lies elsewhere, by licence or by URL, needn't be here. */
function isStoredHere({ mediaType, urls }: Descriptor): boolean {
  return isDistributable(mediaType) && !urls?.length;
}

function parse(bytes: Uint8Array, contentType?: string): Manifest {
  try {
    return parseManifest(bytes, contentType);
  } catch (error) {
    if (error instanceof InvalidManifestError) {
      throw new StorageError("MANIFEST_INVALID", error.message);
    }
    throw error;
  }
}

function declaredMediaType(bytes: Uint8Array): string | undefined {
  try {
    const { mediaType } = JSON.parse(new TextDecoder().decode(bytes));
    return typeof mediaType === "string" ? mediaType : undefined;
  } catch {
    return undefined;
  }
}

function unknown(repository: string, reference: string): StorageError {
  return new StorageError(
    "MANIFEST_UNKNOWN",
    `no manifest ${reference} in repository ${repository}`,
  );
}
