/** Which blob is meant: `REPOSITORY@DIGEST`, or `REPOSITORY DIGEST`. */
import { Failure } from "../lib/failure.ts";
import type { Digest } from "../oci/digest.ts";
import { formatRepository, type Reference } from "../oci/reference.ts";

/** @throws {Failure} `usage` when no digest is given, or two that differ */
export function blobDigestOf(reference: Reference, digest: Digest | undefined): Digest {
  if (digest !== undefined && reference.digest !== undefined && digest !== reference.digest) {
    throw new Failure("usage", `which blob: ${reference.digest} or ${digest}?`);
  }
  const found = digest ?? reference.digest;
  if (found === undefined) {
    throw new Failure(
      "usage",
      `a blob has a digest: ${formatRepository(reference)}@sha256:…, or the digest after it`,
    );
  }
  return found;
}

export function noSuchBlob(reference: Reference, digest: Digest): Failure {
  return new Failure("not-found", `${formatRepository(reference)} has no blob ${digest}`);
}
