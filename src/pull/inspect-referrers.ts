/** What refers to an artifact: signatures, SBOMs, attestations. */
import { untilAborted } from "../lib/abort.ts";
import { Failure } from "../lib/failure.ts";
import { type ReferrerKind, referrerKind } from "../model/referrer-kinds.ts";
import type { Digest } from "../oci/digest.ts";
import { referrersTag } from "../oci/partial.ts";
import type { Repository } from "../oci/reference.ts";
import type { RegistryClient } from "../registry/client.ts";

export interface InspectedReferrer {
  readonly kind: ReferrerKind;
  readonly digest: Digest;
  readonly artifactType?: string;
  /** Bytes of its manifest. */
  readonly size: number;
  /** The tag that alone ties it to the artifact. */
  readonly tag?: string;
}

/** Tags under which cosign keeps what it has no referrers for: `sha256-<hex>.sig`. */
const cosignTags: readonly (readonly [suffix: string, kind: ReferrerKind])[] = [
  ["sig", "signature"],
  ["att", "attestation"],
  ["sbom", "sbom"],
];
const order: readonly ReferrerKind[] = ["signature", "attestation", "sbom", "report", "other"];

/** Sorted by kind. @throws {Failure} what the client throws */
export async function inspectReferrers(
  client: RegistryClient,
  repository: Repository,
  subject: Digest,
  signal?: AbortSignal,
): Promise<InspectedReferrer[]> {
  const [listed, tagged] = await Promise.all([
    untilAborted(client.listReferrers(repository, subject), signal),
    Promise.all(cosignTags.map((tag) => findTagged(client, repository, subject, tag, signal))),
  ]);
  const referrers = listed.map(({ digest, artifactType, size, annotations }) => ({
    kind: referrerKind(artifactType, annotations),
    digest,
    ...(artifactType !== undefined && { artifactType }),
    size,
  }));
  const known = new Set(referrers.map(({ digest }) => digest));
  const others = tagged
    .filter((referrer) => referrer !== undefined)
    .filter(({ digest }) => !known.has(digest));
  return [...referrers, ...others].sort((a, b) => order.indexOf(a.kind) - order.indexOf(b.kind));
}

async function findTagged(
  client: RegistryClient,
  { registry, repository }: Repository,
  subject: Digest,
  [suffix, kind]: (typeof cosignTags)[number],
  signal: AbortSignal | undefined,
): Promise<InspectedReferrer | undefined> {
  const tag = `${referrersTag(subject)}.${suffix}`;
  try {
    const { digest, size } = await client.resolve({ registry, repository, tag }, signal);
    return { kind, digest, size, tag };
  } catch (error) {
    if (error instanceof Failure && error.kind === "not-found") return undefined;
    throw error;
  }
}
