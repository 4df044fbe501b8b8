import { expect, test } from "bun:test";
import { referrerKind } from "../../src/model/referrer-kinds.ts";

test.each([
  ["application/vnd.dev.cosign.artifact.sig.v1+json", "signature"],
  ["application/vnd.cncf.notary.signature", "signature"],
  ["application/vnd.dev.sigstore.bundle.v0.3+json", "signature"],
  ["application/spdx+json", "sbom"],
  ["application/vnd.cyclonedx+json", "sbom"],
  ["application/vnd.dev.cosign.artifact.sbom.v1+json", "sbom"],
  ["application/vnd.in-toto+json", "attestation"],
  ["application/sarif+json", "report"],
  ["application/vnd.openvex+json", "report"],
  ["application/vnd.docker.ai.model.config.v0.1+json", "other"],
  [undefined, "other"],
] as const)("%s is a referrer of the kind %s", (artifactType, kind) => {
  expect(referrerKind(artifactType)).toBe(kind);
});

test.each([
  ["https://slsa.dev/provenance/v1", "attestation"],
  ["https://spdx.dev/Document", "sbom"],
  ["https://in-toto.io/attestation/vulns/v0.1", "report"],
  ["https://sigstore.dev/cosign/sign/v1", "signature"],
  ["https://model_signing/signature/v1.0", "signature"],
  ["https://example.com/anything", "attestation"],
] as const)("a bundle of sigstore with %s is of the kind %s", (predicate, kind) => {
  const annotations = { "dev.sigstore.bundle.predicateType": predicate };
  expect(referrerKind("application/vnd.dev.sigstore.bundle.v0.3+json", annotations)).toBe(kind);
});
