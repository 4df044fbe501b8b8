/**
 * What refers to a manifest: distribution-spec, "Listing Referrers" and, for registries without that
 * endpoint, "Referrers Tag Schema", where clients keep the list in an index under a tag.
 */
import { Type } from "@sinclair/typebox";
import { Value } from "@sinclair/typebox/value";
import { Failure } from "../lib/failure.ts";
import { Descriptor } from "../oci/descriptor.ts";
import { type Digest, isDigest } from "../oci/digest.ts";
import { OCI_IMAGE_INDEX } from "../oci/media-types.ts";
import { referrersTag } from "../oci/partial.ts";
import { formatRepository, type Repository } from "../oci/reference.ts";
import { endpoint } from "./endpoint.ts";
import { getManifest, storeManifest } from "./manifests.ts";
import { type Page, readPages } from "./pagination.ts";
import type { Transport } from "./transport.ts";

const Descriptors = Type.Array(Descriptor);

/** The referrers of `digest`, those of `artifactType` alone where it is given. */
export async function listReferrers(
  transport: Transport,
  repository: Repository,
  digest: Digest,
  artifactType?: string,
): Promise<Descriptor[]> {
  const referrers =
    (await listByEndpoint(transport, repository, digest, artifactType)) ??
    (await listByTag(transport, repository, digest));
  // Whether the registry filtered or not, the answer is the same.
  return artifactType === undefined
    ? referrers
    : referrers.filter((descriptor) => descriptor.artifactType === artifactType);
}

/** Notes `referrer` for a registry that doesn't by itself. Other clients may do so meanwhile. */
export async function recordReferrer(
  transport: Transport,
  repository: Repository,
  subject: Digest,
  referrer: Descriptor,
): Promise<void> {
  const listed = await listByTag(transport, repository, subject);
  if (listed.some(({ digest }) => digest === referrer.digest)) return;
  await storeList(transport, repository, subject, [...listed, referrer]);
}

/** Takes a deleted `referrer` off the list, where the registry leaves that to clients. */
export async function forgetReferrer(
  transport: Transport,
  repository: Repository,
  subject: Digest,
  referrer: Digest,
): Promise<void> {
  if (await listByEndpoint(transport, repository, subject)) return;
  const listed = await listByTag(transport, repository, subject);
  const left = listed.filter(({ digest }) => digest !== referrer);
  if (left.length < listed.length) await storeList(transport, repository, subject, left);
}

/** Undefined where the registry has no such endpoint. */
async function listByEndpoint(
  transport: Transport,
  repository: Repository,
  digest: Digest,
  artifactType?: string,
): Promise<Descriptor[] | undefined> {
  if (!isDigest(digest)) throw new Failure("usage", `invalid digest ${JSON.stringify(digest)}`);
  const host = transport.host(repository.registry);
  const place = endpoint(host, repository, `referrers/${digest}`, "pull");
  if (artifactType !== undefined) place.url.searchParams.set("artifactType", artifactType);
  const what = `can't list the referrers of ${digest} in "${formatRepository(repository)}"`;
  const pages = readPages(
    transport,
    {
      what,
      method: "GET",
      ...place,
      headers: { accept: OCI_IMAGE_INDEX },
    },
    ({ manifests }) => {
      if (manifests === null) return [];
      return Value.Check(Descriptors, manifests) ? manifests : undefined;
    },
  );
  try {
    return await collect(pages, what);
  } catch (error) {
    if (error instanceof Failure && error.kind === "not-found") return undefined;
    throw error;
  }
}

/** More than a person or a policy looks through. */
const MAX_REFERRERS = 100_000;

async function collect(pages: AsyncIterable<Page<Descriptor>>, what: string) {
  const referrers: Descriptor[] = [];
  for await (const { entries } of pages) {
    for (const entry of entries) referrers.push(entry);
    if (referrers.length > MAX_REFERRERS) {
      throw new Failure("content", `${what}: there are more than ${MAX_REFERRERS}`);
    }
  }
  return referrers;
}

async function listByTag(
  transport: Transport,
  { registry, repository }: Repository,
  subject: Digest,
): Promise<Descriptor[]> {
  const reference = { registry, repository, tag: referrersTag(subject) };
  try {
    const { manifest } = await getManifest(transport, reference, { at: "registry" });
    if (manifest.kind === "index") return manifest.content.manifests;
    const { mediaType } = manifest;
    throw new Failure(
      "content",
      `the tag "${reference.tag}" of "${formatRepository(reference)}" should list referrers in an index, but is a ${mediaType}`,
    );
  } catch (error) {
    if (error instanceof Failure && error.kind === "not-found") return [];
    throw error;
  }
}

async function storeList(
  transport: Transport,
  { registry, repository }: Repository,
  subject: Digest,
  manifests: readonly Descriptor[],
): Promise<void> {
  const index = { schemaVersion: 2, mediaType: OCI_IMAGE_INDEX, manifests };
  const bytes = new TextEncoder().encode(JSON.stringify(index));
  const reference = { registry, repository, tag: referrersTag(subject) };
  await storeManifest(transport, reference, bytes, OCI_IMAGE_INDEX);
}
