/** Manifests at a registry: distribution-spec, "Pulling manifests", "Pushing Manifests". */
import { Failure } from "../lib/failure.ts";
import type { Descriptor } from "../oci/descriptor.ts";
import { algorithmOf, type Digest, digestOf, isDigest } from "../oci/digest.ts";
import {
  InvalidManifestError,
  MAX_MANIFEST_SIZE,
  type Manifest,
  parseManifest,
} from "../oci/manifest.ts";
import { baseMediaType, MANIFEST_TYPES } from "../oci/media-types.ts";
import { describe } from "../oci/partial.ts";
import { formatReference, identifierOf, isTag, type Reference } from "../oci/reference.ts";
import { endpoint } from "./endpoint.ts";
import type { Patience } from "./failover.ts";
import type { Host } from "./host.ts";
import { type Answer, discard, readBody } from "./http.ts";
import type { Action } from "./scope.ts";
import type { Operation, Transport } from "./transport.ts";

/** A manifest, its bytes as they were pushed, and what describes them. */
export interface RemoteManifest {
  readonly descriptor: Descriptor;
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly manifest: Manifest;
}

/** Where to look: at the registry itself alone, or at its mirrors too. */
export type Place = "registry" | "anywhere";

export interface ManifestOptions {
  /** @default "anywhere" */
  readonly at?: Place;
  readonly signal?: AbortSignal | undefined;
}

const ACCEPT = MANIFEST_TYPES.join(", ");

/**
 * The descriptor by HEAD; by GET where that says too little. Nothing shows whether it is true: so
 * mirrors are asked only where they are trusted with tags.
 */
export function resolveManifest(
  transport: Transport,
  reference: Reference,
  { at, signal }: ManifestOptions = {},
): Promise<Descriptor> {
  const ask = (host: Host, patience: Patience = {}) =>
    resolveAt(transport, host, reference, { ...patience, signal });
  if (at === "registry") return ask(transport.host(reference.registry));
  return transport.fromAnywhere(reference, "meaning", signal, ask);
}

/** The manifest, whose bytes were checked against the digest that was asked for or announced. */
export function getManifest(
  transport: Transport,
  reference: Reference,
  { at, signal }: ManifestOptions = {},
): Promise<RemoteManifest> {
  const ask = (host: Host, patience: Patience = {}) =>
    getAt(transport, host, reference, { ...patience, signal });
  if (at === "registry") return ask(transport.host(reference.registry));
  const need = reference.digest === undefined ? "meaning" : "content";
  return transport.fromAnywhere(reference, need, signal, ask);
}

type Manner = Pick<Operation, "signal" | "retry" | "answerTimeout">;

async function resolveAt(
  transport: Transport,
  host: Host,
  reference: Reference,
  manner: Manner,
): Promise<Descriptor> {
  const operation = manifestOperation(host, "resolve", reference, "HEAD", "pull");
  // Some hosts don't know HEAD.
  const answer = await transport.request({ ...operation, ...manner }, 200, 405);
  const digest = answer.headers.get("docker-content-digest") ?? "";
  const mediaType = baseMediaType(answer.headers.get("content-type") ?? "");
  const size = answer.headers.get("content-length") ?? "";
  const isEnough =
    answer.status === 200 &&
    isDigest(digest) &&
    (reference.digest === undefined || digest === reference.digest) &&
    MANIFEST_TYPES.includes(mediaType) &&
    /^\d{1,15}$/.test(size);
  if (isEnough) return { mediaType, digest, size: Number(size) };
  return (await getAt(transport, host, reference, manner)).descriptor;
}

/**
 * The digest of what the reference names at a registry that is going to be pushed to; undefined
 * where it names nothing, or the registry doesn't tell.
 */
export async function findManifest(
  transport: Transport,
  reference: Reference,
  signal?: AbortSignal,
): Promise<Digest | undefined> {
  const host = transport.host(reference.registry);
  const operation = manifestOperation(host, "find", reference, "HEAD", "push");
  const answer = await transport.request({ ...operation, signal }, 200, 404, 405);
  if (answer.status !== 200) return undefined;
  const digest = answer.headers.get("docker-content-digest") || reference.digest;
  const isExpected = reference.digest === undefined || digest === reference.digest;
  return digest !== undefined && isDigest(digest) && isExpected ? digest : undefined;
}

async function getAt(
  transport: Transport,
  host: Host,
  reference: Reference,
  manner: Manner,
): Promise<RemoteManifest> {
  const operation = manifestOperation(host, "get", reference, "GET", "pull");
  const request = { ...operation, ...manner, bodyLimit: MAX_MANIFEST_SIZE };
  const answer = await transport.request(request, 200);
  const bytes = (await readBody(answer, MAX_MANIFEST_SIZE)) ?? new Uint8Array();
  const digest = verifyDigest(operation.what, reference, answer, bytes);
  const manifest = parse(operation.what, bytes, answer.headers.get("content-type"));
  return { descriptor: describe(manifest.mediaType, bytes, digest), bytes, manifest };
}

function parse(what: string, bytes: Uint8Array, contentType: string | null): Manifest {
  try {
    return parseManifest(bytes, contentType ?? undefined);
  } catch (error) {
    if (!(error instanceof InvalidManifestError)) throw error;
    throw new Failure("content", `${what}: ${error.message}`, { cause: error });
  }
}

function verifyDigest(
  what: string,
  reference: Reference,
  answer: Answer,
  bytes: Uint8Array,
): Digest {
  const announced = answer.headers.get("docker-content-digest") ?? "";
  const expected = reference.digest ?? (isDigest(announced) ? announced : undefined);
  const actual = digestOf(bytes, expected && algorithmOf(expected));
  if (expected === undefined || actual === expected) return actual;
  throw new Failure(
    "content",
    `${what}: the content that ${answer.url.host} sent has the digest ${actual}`,
  );
}

/** What a registry said to a manifest. */
export interface StoredManifest {
  readonly digest: Digest;
  readonly manifest: Manifest;
  /** Whether it keeps the list of the subject's referrers: else the client has to. */
  readonly isSubjectProcessed: boolean;
}

/** Pushes to the reference's tag; without one, to its digest. */
export async function storeManifest(
  transport: Transport,
  reference: Reference,
  bytes: Uint8Array,
  mediaType: string,
): Promise<StoredManifest> {
  const { registry, repository, tag, digest: wanted } = reference;
  const digest = digestOf(bytes, wanted && algorithmOf(wanted));
  if (wanted !== undefined && wanted !== digest) {
    throw new Failure("content", `can't push ${quote(reference)}: the manifest is ${digest}`);
  }
  const target = tag === undefined ? reference : { registry, repository, tag };
  const host = transport.host(registry);
  const operation = manifestOperation(host, "push", target, "PUT", "push");
  if (!/^[ -~]{1,255}$/.test(mediaType)) {
    throw new Failure(
      "usage",
      `${operation.what}: invalid media type ${JSON.stringify(mediaType)}`,
    );
  }
  const manifest = parse(operation.what, bytes, mediaType);
  const answer = await transport.request(
    {
      ...operation,
      headers: { ...operation.headers, "content-type": mediaType },
      body: new Uint8Array(bytes),
    },
    201,
  );
  await discard(answer);
  const stored = answer.headers.get("docker-content-digest") ?? "";
  if (isDigest(stored) && algorithmOf(stored) === algorithmOf(digest) && stored !== digest) {
    throw new Failure(
      "content",
      `${operation.what}: ${answer.url.host} stored ${stored} instead of ${digest}`,
    );
  }
  return { digest, manifest, isSubjectProcessed: answer.headers.has("oci-subject") };
}

/** Deletes what the reference's digest names; without one, only its tag. */
export async function removeManifest(transport: Transport, reference: Reference): Promise<void> {
  const host = transport.host(reference.registry);
  const operation = manifestOperation(host, "delete", reference, "DELETE", "delete");
  await discard(await transport.request(operation, 200, 202, 204));
}

function manifestOperation(
  host: Host,
  verb: string,
  reference: Reference,
  method: Operation["method"],
  action: Action,
): Operation {
  const identifier = identifierOf(reference);
  if (!isTag(identifier) && !isDigest(identifier)) {
    throw new Failure("usage", `invalid tag or digest ${JSON.stringify(identifier)}`);
  }
  return {
    what: `can't ${verb} manifest ${quote(reference)}`,
    method,
    ...endpoint(host, reference, `manifests/${identifier}`, action),
    headers: { accept: ACCEPT },
  };
}

function quote(reference: Reference): string {
  return JSON.stringify(formatReference(reference));
}
