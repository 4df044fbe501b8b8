/** Where the blobs of a repository can be had. */
import type { Failure } from "../lib/failure.ts";
import type { Repository } from "../oci/reference.ts";
import type { Host } from "./host.ts";
import type { Transport } from "./transport.ts";

/** A host that may have the blobs of a repository. */
export interface BlobSource {
  readonly host: Host;
  /** The registry itself: what a mirror sends must be what it has. */
  readonly isOrigin: boolean;
}

/**
 * The sources of a repository's blobs, the preferred first; the registry itself is the last.
 * Mirrors are missing that have failed lately, or that have ever sent wrong bytes.
 */
export function blobSources(transport: Transport, repository: Repository): readonly BlobSource[] {
  const hosts = transport.hosts(repository.registry);
  const mirrors = transport.mirrors.usable(hosts, repository, "content");
  return [
    ...mirrors.map((host) => ({ host, isOrigin: false })),
    { host: hosts.origin, isOrigin: true },
  ];
}

/** Notes that a source failed with `failure`. Of the registry itself there is nothing to note. */
export function noteFailure(
  transport: Transport,
  { host, isOrigin }: BlobSource,
  repository: Repository,
  failure: Failure,
): void {
  if (!isOrigin) transport.mirrors.failed(host, repository, failure);
}
