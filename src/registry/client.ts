/** The registry client: what can be done at a registry, an operation a method. */
import { Failure } from "../lib/failure.ts";
import { KeyedLock } from "../lib/lock.ts";
import type { Descriptor } from "../oci/descriptor.ts";
import type { Digest } from "../oci/digest.ts";
import { referrerOf, subjectOf } from "../oci/partial.ts";
import { formatRepository, type Reference, type Repository } from "../oci/reference.ts";
import { type AccessReport, checkAccess, checkLogin, type LoginReport } from "./access.ts";
import { deleteBlob, findBlob } from "./blobs.ts";
import type { FoundCredential } from "./credentials/credentials.ts";
import { type ListOptions, listRepositories, listTags } from "./listing.ts";
import {
  findManifest,
  getManifest,
  type Place,
  type RemoteManifest,
  removeManifest,
  resolveManifest,
  storeManifest,
} from "./manifests.ts";
import { type OpenBlobOptions, openBlob } from "./open-blob.ts";
import type { ClientOptions } from "./options.ts";
import { openPiece, type PieceAnswer, type PieceRequest } from "./pieces.ts";
import { forgetReferrer, listReferrers, recordReferrer } from "./referrers.ts";
import { type BlobSource, blobSources, noteFailure } from "./sources.ts";
import { type Limits, Transport } from "./transport.ts";
import type { BlobBody } from "./upload-body.ts";
import { type PushBlobOptions, type PushedBlob, pushBlob } from "./uploads.ts";

export type { AccessReport, LoginReport } from "./access.ts";
export type { ListOptions } from "./listing.ts";
export type { Place, RemoteManifest } from "./manifests.ts";
export type { OpenBlobOptions } from "./open-blob.ts";
export type { ClientEvent, ClientOptions, HostList } from "./options.ts";
export type { PieceAnswer, PieceRequest } from "./pieces.ts";
export type { BlobSource } from "./sources.ts";
export type { DirectRoute, Limits } from "./transport.ts";
export type { BlobBody, StreamedBlob } from "./upload-body.ts";
export type { PushBlobOptions, PushedBlob } from "./uploads.ts";

/**
 * A client for any number of registries. It holds their tokens and what it learnt of them, so that
 * one client a process is right. Every method throws {@link Failure}: `not-found`, `unauthorized`,
 * `network` after retries, `content` for what is malformed, hostile or not what its digest says,
 * `usage` for what a registry refuses to do.
 */
export class RegistryClient {
  readonly #transport: Transport;
  /** Lists of referrers that are changed by reading and writing them back. */
  readonly #lists = new KeyedLock();

  /** @throws {Failure} `usage`: options that make no sense together */
  constructor(options: ClientOptions = {}) {
    this.#transport = new Transport(options);
  }

  /** What the reference names now. */
  resolve(reference: Reference, signal?: AbortSignal, at?: Place): Promise<Descriptor> {
    return resolveManifest(this.#transport, reference, { signal, ...(at && { at }) });
  }

  /**
   * The digest of what the reference names where it is going to be pushed to; undefined where it
   * names nothing, or the registry doesn't tell.
   */
  findManifest(reference: Reference, signal?: AbortSignal): Promise<Digest | undefined> {
    return findManifest(this.#transport, reference, signal);
  }

  /** The manifest, verified; up to 4 MiB. */
  getManifest(reference: Reference, signal?: AbortSignal, at?: Place): Promise<RemoteManifest> {
    return getManifest(this.#transport, reference, { signal, ...(at && { at }) });
  }

  /**
   * Pushes a manifest to the reference's tag, else to its digest, and returns its digest. Where the
   * registry doesn't list referrers by itself, the subject's list is kept up.
   */
  async putManifest(reference: Reference, bytes: Uint8Array, mediaType: string): Promise<Digest> {
    const stored = await storeManifest(this.#transport, reference, bytes, mediaType);
    const subject = subjectOf(stored.manifest)?.digest;
    if (subject !== undefined && !stored.isSubjectProcessed) {
      const referrer = referrerOf(stored.manifest, bytes, stored.digest);
      await this.#lists.run(listKey(reference, subject), () =>
        recordReferrer(this.#transport, reference, subject, referrer),
      );
    }
    return stored.digest;
  }

  /** Deletes what the reference's digest names, with its tags; without a digest only the tag. */
  async deleteManifest(reference: Reference): Promise<void> {
    const { digest } = reference;
    const subject = digest && (await this.#subjectOf(reference));
    await removeManifest(this.#transport, reference);
    if (digest === undefined || subject === undefined) return;
    await this.#lists.run(listKey(reference, subject), () =>
      forgetReferrer(this.#transport, reference, subject, digest),
    );
  }

  /** The size of a blob in bytes; undefined when it is absent. */
  async statBlob(repository: Repository, digest: Digest): Promise<number | undefined> {
    const stored = await findBlob(this.#transport, repository, digest);
    if (stored === "absent") return undefined;
    if (stored !== "unknown") return stored;
    throw new Failure(
      "content",
      `can't tell the size of blob ${digest}: "${formatRepository(repository)}" has it, but doesn't say`,
    );
  }

  /**
   * The bytes of a blob, or those from `offset` up to and without `end`. All of it is verified while
   * it streams: the stream errors before its end when size or digest differ. Of a part only the
   * length is. A connection that breaks errors the stream with `network`.
   */
  openBlob(
    repository: Repository,
    descriptor: Pick<Descriptor, "digest" | "size">,
    options?: OpenBlobOptions,
  ): Promise<ReadableStream<Uint8Array>> {
    return openBlob(this.#transport, repository, descriptor, options);
  }

  /** Where the repository's blobs can be had, the preferred source first, the registry last. */
  blobSources(repository: Repository): readonly BlobSource[] {
    return blobSources(this.#transport, repository);
  }

  /** One request for a part of a blob at one source, without retries; nothing is verified. */
  openPiece(
    source: BlobSource,
    repository: Repository,
    descriptor: Pick<Descriptor, "digest" | "size">,
    request: PieceRequest,
  ): Promise<PieceAnswer> {
    return openPiece(this.#transport, source, repository, descriptor, request);
  }

  /**
   * Tells why a source is given up: it sent what it shouldn't (`content`), breaks off (`network`),
   * refuses. A mirror is named in a warning then, and not asked for a while, or ever again.
   */
  noteFailure(source: BlobSource, repository: Repository, failure: Failure): void {
    noteFailure(this.#transport, source, repository, failure);
  }

  /** How far this client goes. */
  get limits(): Limits {
    return this.#transport.limits;
  }

  /** Makes sure that the repository has the blob: found, mounted or uploaded. */
  pushBlob(
    repository: Repository,
    descriptor: Pick<Descriptor, "digest" | "size">,
    open: () => BlobBody,
    options?: PushBlobOptions,
  ): Promise<PushedBlob> {
    return pushBlob(this.#transport, repository, descriptor, open, options);
  }

  deleteBlob(repository: Repository, digest: Digest): Promise<void> {
    return deleteBlob(this.#transport, repository, digest);
  }

  listTags(repository: Repository, options?: ListOptions): AsyncIterable<string> {
    return listTags(this.#transport, repository, options);
  }

  listRepositories(registry: string, options?: ListOptions): AsyncIterable<string> {
    return listRepositories(this.#transport, registry, options);
  }

  listReferrers(
    repository: Repository,
    digest: Digest,
    artifactType?: string,
  ): Promise<Descriptor[]> {
    return listReferrers(this.#transport, repository, digest, artifactType);
  }

  /** Which credential there is for all of a registry. The registry isn't asked. */
  findCredential(registry: string): Promise<FoundCredential> {
    return this.#transport.credentials.find({ registry, scopes: [] });
  }

  /** Whether the registry knows us by the credentials that there are for it. */
  checkLogin(registry: string, signal?: AbortSignal): Promise<LoginReport> {
    return checkLogin(this.#transport, registry, signal);
  }

  /** Which credentials there are for the reference, and what the registry says to them. */
  checkAccess(reference: Reference, signal?: AbortSignal): Promise<AccessReport> {
    return checkAccess(this.#transport, reference, signal);
  }

  /** The subject of a manifest that is about to go. */
  async #subjectOf(reference: Reference): Promise<Digest | undefined> {
    try {
      const { manifest } = await getManifest(this.#transport, reference, { at: "registry" });
      return subjectOf(manifest)?.digest;
    } catch (error) {
      // What can't be read can still be deleted, and is no referrer.
      if (error instanceof Failure && error.kind === "content") return undefined;
      throw error;
    }
  }
}

function listKey(repository: Repository, subject: Digest): string {
  return `${formatRepository(repository)}@${subject}`;
}
