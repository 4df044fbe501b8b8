/** What a referrer is for, by its artifact type. */
import type { Annotations } from "../oci/descriptor.ts";

export type ReferrerKind = "signature" | "sbom" | "attestation" | "report" | "other";

/** Those of cosign, notation, sigstore, syft, SPDX, CycloneDX, in-toto, SLSA, scanners and VEX. */
const kinds: readonly (readonly [RegExp, ReferrerKind])[] = [
  [/spdx|cyclonedx|syft|sbom/i, "sbom"],
  [/sarif|openvex|\bvex\b|vuln|security/i, "report"],
  [/in-?toto|slsa|provenance|attestation|dsse/i, "attestation"],
  [/signature|\bsig\b|simplesigning|notary|pkcs7|sigstore|jws|\bcose\b/i, "signature"],
];

/**
 * @param annotations of the referrer: a bundle of sigstore says there what it holds, a signature or
 *   an attestation
 */
export function referrerKind(
  artifactType: string | undefined,
  annotations: Annotations = {},
): ReferrerKind {
  const predicate = annotations["dev.sigstore.bundle.predicateType"];
  if (predicate !== undefined) return kindIn(predicate) ?? "attestation";
  const content = annotations["dev.sigstore.bundle.content"];
  return kindIn(content ?? "") ?? kindIn(artifactType ?? "") ?? "other";
}

function kindIn(words: string): ReferrerKind | undefined {
  return kinds.find(([pattern]) => pattern.test(words))?.[1];
}
