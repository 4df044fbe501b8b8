/**
 * What a registry keeps, and how to reach it: `BlobStore`, `ManifestStore`, `UploadManager` and
 * their union `Store`. Repository names, tags and digests that aren't valid are refused by every
 * operation with a `StorageError` (NAME_INVALID, MANIFEST_INVALID, DIGEST_INVALID).
 */
import type { Descriptor } from "../oci/descriptor.ts";
import type { Digest } from "../oci/digest.ts";

/** Where a blob's bytes are to be had. */
export type BlobContent = {
  /** As stored: it may use another algorithm than the digest that was asked for. */
  readonly digest: Digest;
  /** Bytes. */
  readonly size: number;
} & (
  | { readonly kind: "file"; readonly path: string }
  | {
      readonly kind: "stream";
      /** The bytes from `start` up to, but without, `end`. */
      open(start: number, end: number): ReadableStream<Uint8Array>;
    }
  | { readonly kind: "redirect"; readonly url: string }
);

export interface BlobStore {
  /**
   * Finds a blob of a repository. It counts as a use: a collector leaves the blob alone for its
   * grace time.
   *
   * @throws {StorageError} BLOB_UNKNOWN
   */
  openBlob(repository: string, digest: Digest): Promise<BlobContent>;
  /**
   * Mounts a blob into a repository, without moving bytes: from another repository, or, where none
   * is named, from wherever the store has it. False when it isn't there.
   */
  linkBlob(repository: string, digest: Digest, from?: string): Promise<boolean>;
  /**
   * Takes a blob out of a repository. Its bytes go when a collector finds them unused.
   *
   * @throws {StorageError} BLOB_UNKNOWN
   */
  unlinkBlob(repository: string, digest: Digest): Promise<void>;
}

export interface StoredManifest {
  readonly digest: Digest;
  readonly mediaType: string;
  /** Exactly as they were pushed. */
  readonly bytes: Uint8Array;
}

/** Which manifests may name content that isn't here: none, indexes, or images too. */
export type SparsePolicy = "none" | "index" | "image";

export interface PutManifestOptions {
  readonly bytes: Uint8Array;
  /** The sender's Content-Type; parameters are ignored. */
  readonly contentType?: string | undefined;
  /** What the bytes must hash to; its algorithm is the one to store them by. */
  readonly digest?: Digest | undefined;
  readonly tags: readonly string[];
  readonly sparse: SparsePolicy;
}

export interface PutManifestResult {
  readonly digest: Digest;
  /** The digest of the manifest's subject, where it has one. */
  readonly subject?: Digest;
}

/** A page of a sorted list. */
export interface Page<T> {
  readonly items: readonly T[];
  /** Whether something follows the last item. */
  readonly more: boolean;
}

export interface PageOptions {
  /** Most items to return; all, when absent. */
  readonly limit?: number | undefined;
  /** Only what sorts after this; it needn't exist. */
  readonly last?: string | undefined;
}

export interface ManifestStore {
  /**
   * @param reference a tag or a digest
   * @throws {StorageError} MANIFEST_UNKNOWN
   */
  getManifest(repository: string, reference: string): Promise<StoredManifest>;
  /**
   * Stores a manifest under its digest, then under each tag. A subject may be missing.
   *
   * @throws {StorageError} MANIFEST_INVALID, DIGEST_INVALID, MANIFEST_BLOB_UNKNOWN
   */
  putManifest(repository: string, options: PutManifestOptions): Promise<PutManifestResult>;
  /**
   * Deletes a tag alone, or, by digest, a manifest with all its tags.
   *
   * @throws {StorageError} MANIFEST_UNKNOWN
   */
  deleteManifest(repository: string, reference: string): Promise<void>;
  /**
   * Tags in ASCII order.
   *
   * @throws {StorageError} NAME_UNKNOWN
   */
  listTags(repository: string, options?: PageOptions): Promise<Page<string>>;
  /**
   * Manifests whose subject is `subject`, in the order of their digests, from after `last`; none for
   * an unknown repository. They are read as they are asked for, as each may be large.
   */
  listReferrers(repository: string, subject: Digest, last?: string): AsyncIterable<Descriptor>;
  /** Repositories in ASCII order. */
  listRepositories(options?: PageOptions): Promise<Page<string>>;
}

export interface UploadStatus {
  /** A UUID. */
  readonly id: string;
  /** Bytes received so far: where the next chunk starts. */
  readonly offset: number;
}

export interface AppendOptions {
  /** Where the sender thinks the chunk starts; absent, it goes to the end. */
  readonly offset?: number | undefined;
  /** Bytes that the chunk must have; absent, as many as come. */
  readonly length?: number | undefined;
  /** What the whole blob is to hash to, where that is known before the first byte. */
  readonly digest?: Digest | undefined;
}

/** Upload sessions. Their state is in the store: another process over it can go on with one. */
export interface UploadManager {
  /** Starts a session. `algorithm` is what the digest is expected to use. */
  createUpload(repository: string, algorithm?: string): Promise<UploadStatus>;
  /**
   * Adds to a session. What arrived stays when the body breaks off, so that the sender can go on
   * from there; a chunk of the wrong length is taken back. A newer append fences off an older one
   * that hasn't ended.
   *
   * @throws {StorageError} BLOB_UPLOAD_UNKNOWN, BLOB_UPLOAD_INVALID, SIZE_INVALID
   * @throws {UploadOffsetError}
   */
  appendUpload(
    repository: string,
    id: string,
    body: AsyncIterable<Uint8Array>,
    options?: AppendOptions,
  ): Promise<UploadStatus>;
  /** @throws {StorageError} BLOB_UPLOAD_UNKNOWN */
  uploadStatus(repository: string, id: string): Promise<UploadStatus>;
  /**
   * Turns a session into a blob of the repository: durable when this returns.
   *
   * @throws {StorageError} BLOB_UPLOAD_UNKNOWN; DIGEST_INVALID, and the session is gone then
   */
  completeUpload(repository: string, id: string, digest: Digest): Promise<BlobContent>;
  /** @throws {StorageError} BLOB_UPLOAD_UNKNOWN */
  cancelUpload(repository: string, id: string): Promise<void>;
}

export interface Store extends BlobStore, ManifestStore, UploadManager {}
