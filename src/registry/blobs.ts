/** Blobs at a registry: distribution-spec, "Pulling blobs", "Deleting Blobs". */
import { Failure } from "../lib/failure.ts";
import { type Digest, isDigest } from "../oci/digest.ts";
import { formatRepository, type Repository } from "../oci/reference.ts";
import { endpoint } from "./endpoint.ts";
import type { Host } from "./host.ts";
import { type Answer, discard } from "./http.ts";
import type { Action } from "./scope.ts";
import type { Operation, Transport } from "./transport.ts";

/** A size in bytes; `unknown` where the host keeps it to itself. */
export type StoredSize = number | "absent" | "unknown";

/**
 * Whether the registry itself has a blob. `overrides` may name an access that the caller will need
 * anyway, which saves a token.
 */
export function statBlob(
  transport: Transport,
  repository: Repository,
  digest: Digest,
  overrides: Pick<Operation, "signal" | "access"> = {},
): Promise<StoredSize> {
  return statAt(transport, transport.host(repository.registry), repository, digest, overrides);
}

/**
 * Whether a blob can be had. Nothing shows whether its size is true: so mirrors are asked only where
 * they are trusted with tags.
 */
export function findBlob(
  transport: Transport,
  repository: Repository,
  digest: Digest,
): Promise<StoredSize> {
  const hosts = transport.hosts(repository.registry);
  return transport.fromAnywhere(repository, "meaning", undefined, async (host, patience) => {
    const size = await statAt(transport, host, repository, digest, patience);
    if (typeof size === "number" || host === hosts.origin) return size;
    throw new Failure("not-found", `${host.origin} doesn't have ${digest}`);
  });
}

async function statAt(
  transport: Transport,
  host: Host,
  repository: Repository,
  digest: Digest,
  manner: Partial<Operation>,
): Promise<StoredSize> {
  const operation = blobOperation(host, "find", repository, digest, "HEAD", "pull");
  const answer = await transport.request({ ...operation, ...manner }, 200, 404);
  if (answer.status === 404) return "absent";
  const length = answer.headers.get("content-length") ?? "";
  return /^\d{1,15}$/.test(length) ? Number(length) : "unknown";
}

/** @throws {Failure} `not-found`, or `usage` where the registry doesn't delete */
export async function deleteBlob(
  transport: Transport,
  repository: Repository,
  digest: Digest,
): Promise<void> {
  const host = transport.host(repository.registry);
  const operation = blobOperation(host, "delete", repository, digest, "DELETE", "delete");
  await discard(await transport.request(operation, 200, 202, 204));
}

/** @throws {Failure} `usage`: not a digest */
export function blobOperation(
  host: Host,
  verb: string,
  repository: Repository,
  digest: Digest,
  method: Operation["method"],
  action: Action,
  signal?: AbortSignal,
): Operation {
  if (!isDigest(digest)) throw new Failure("usage", `invalid digest ${JSON.stringify(digest)}`);
  return {
    what: blobFailed(verb, repository, digest),
    method,
    ...endpoint(host, repository, `blobs/${digest}`, action),
    signal,
  };
}

/** What an operation on a blob is called when it fails. */
export function blobFailed(verb: string, repository: Repository, digest: Digest): string {
  return `can't ${verb} blob ${digest} of "${formatRepository(repository)}"`;
}

/** What is wrong with an answer that should hold a part, if something is. */
export function rangeProblem(
  answer: Answer,
  offset: number,
  end: number,
  size: number,
): string | undefined {
  const header = answer.headers.get("content-range") ?? "";
  const range = `bytes ${offset}-${end - 1}`;
  if (header === `${range}/${size}` || header === `${range}/*`) return undefined;
  return `sent other bytes than asked for: Content-Range ${JSON.stringify(header.slice(0, 100))}`;
}

/** Known before the first byte: spares the download of what can't be right. */
export function lengthProblem(answer: Answer, expected: number): string | undefined {
  const length = answer.headers.get("content-length");
  if (length === null || Number(length) === expected) return undefined;
  return `has ${length} bytes, not ${expected}`;
}
