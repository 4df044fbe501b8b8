/** Where the blobs of a repository can be had. */
import type { Repository } from "../oci/reference.ts";
import type { Host } from "./host.ts";
import type { Transport } from "./transport.ts";

/** A host that may have the blobs of a repository. */
export interface BlobSource {
  readonly host: Host;
  /** The registry itself: what a mirror sends must be what it has. */
  readonly isOrigin: boolean;
}

/** The sources of a repository's blobs, the preferred first; the registry itself is the last. */
export function blobSources(transport: Transport, repository: Repository): readonly BlobSource[] {
  return [{ host: transport.host(repository.registry), isOrigin: true }];
}
