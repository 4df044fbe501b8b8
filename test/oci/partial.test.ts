import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { type Descriptor, EMPTY_DESCRIPTOR, type Platform } from "../../src/oci/descriptor.ts";
import { type Digest, digestOf } from "../../src/oci/digest.ts";
import { type Manifest, parseManifest } from "../../src/oci/manifest.ts";
import {
  OCI_ARTIFACT_MANIFEST,
  OCI_IMAGE_CONFIG,
  OCI_IMAGE_INDEX,
  OCI_IMAGE_MANIFEST,
  OCI_LAYER,
} from "../../src/oci/media-types.ts";
import {
  annotationsOf,
  artifactTypeOf,
  blobsOf,
  describe as describeContent,
  descriptorsOf,
  embeddedData,
  findBlob,
  hostPlatform,
  layersOf,
  manifestsOf,
  NoSuchPlatformError,
  offerFor,
  referrerOf,
  referrersTag,
  subjectOf,
} from "../../src/oci/partial.ts";
import { isTag } from "../../src/oci/reference.ts";

const descriptor = (content: string, mediaType = OCI_LAYER): Descriptor => ({
  mediaType,
  digest: digestOf(content),
  size: content.length,
});
const bytesOf = (json: object) => new TextEncoder().encode(JSON.stringify(json));
const manifestOf = (json: object): Manifest => parseManifest(bytesOf(json));

const config = descriptor("{}", OCI_IMAGE_CONFIG);
const layers = [descriptor("one"), descriptor("two")];
const subject = descriptor("subject", OCI_IMAGE_MANIFEST);
const annotations = { "org.opencontainers.image.created": "2025-01-01T00:00:00Z" };
const imageJson = { schemaVersion: 2, mediaType: OCI_IMAGE_MANIFEST, config, layers };
const children = [descriptor("a", OCI_IMAGE_MANIFEST), descriptor("b", OCI_IMAGE_INDEX)];
const indexJson = { schemaVersion: 2, mediaType: OCI_IMAGE_INDEX, manifests: children };

const image = manifestOf(imageJson);
const index = manifestOf(indexJson);
const artifact = manifestOf({ mediaType: OCI_ARTIFACT_MANIFEST, blobs: layers });
const other = manifestOf({ mediaType: "application/vnd.example", subject, annotations, layers });

describe("what a manifest names", () => {
  test("an image names its config and then its layers", () => {
    expect(blobsOf(image)).toEqual([config, ...layers]);
    expect(layersOf(image)).toEqual(layers);
    expect(manifestsOf(image)).toEqual([]);
    expect(descriptorsOf(image)).toEqual([config, ...layers]);
  });

  test("an index names manifests and no blobs", () => {
    expect(blobsOf(index)).toEqual([]);
    expect(layersOf(index)).toEqual([]);
    expect(manifestsOf(index)).toEqual(children);
    expect(descriptorsOf(index)).toEqual(children);
  });

  test("a deprecated artifact names its blobs", () => {
    expect(blobsOf(artifact)).toEqual(layers);
    expect(layersOf(artifact)).toEqual(layers);
    expect(blobsOf(manifestOf({ mediaType: OCI_ARTIFACT_MANIFEST }))).toEqual([]);
  });

  test("what nobody can read names nothing", () => {
    expect(descriptorsOf(other)).toEqual([]);
    expect(subjectOf(other)).toBeUndefined();
    expect(annotationsOf(other)).toBeUndefined();
    expect(artifactTypeOf(other)).toBeUndefined();
  });

  test("a blob is found by its digest, as config or as layer", () => {
    expect(findBlob(image, digestOf("{}"))).toEqual(config);
    expect(findBlob(image, digestOf("two"))).toEqual(descriptor("two"));
    expect(findBlob(image, digestOf("three"))).toBeUndefined();
    expect(findBlob(index, digestOf("a"))).toBeUndefined();
  });
});

describe("the entry of a referrers list (distribution-spec, Listing Referrers)", () => {
  const entryOf = (json: object): Descriptor => {
    const bytes = bytesOf(json);
    return referrerOf(parseManifest(bytes), bytes, digestOf(bytes));
  };

  test("describes the manifest's own bytes", () => {
    const json = { ...imageJson, subject };
    const bytes = bytesOf(json);
    expect(entryOf(json)).toEqual({
      mediaType: OCI_IMAGE_MANIFEST,
      digest: digestOf(bytes),
      size: bytes.byteLength,
      artifactType: OCI_IMAGE_CONFIG,
    });
    expect(subjectOf(manifestOf(json))).toEqual(subject);
  });

  test("takes the artifact type of the manifest", () => {
    const artifactType = "application/vnd.example.sbom.v1";
    for (const json of [imageJson, indexJson, { mediaType: OCI_ARTIFACT_MANIFEST }]) {
      expect(entryOf({ ...json, artifactType }).artifactType).toBe(artifactType);
    }
  });

  test("takes the config's media type for an image whose artifact type is missing or empty", () => {
    expect(entryOf(imageJson).artifactType).toBe(OCI_IMAGE_CONFIG);
    expect(entryOf({ ...imageJson, artifactType: "" }).artifactType).toBe(OCI_IMAGE_CONFIG);
  });

  test("has no artifact type for an index that has none", () => {
    expect(entryOf(indexJson)).not.toHaveProperty("artifactType");
    expect(entryOf({ ...indexJson, artifactType: "" })).not.toHaveProperty("artifactType");
  });

  test("copies the annotations of the manifest, and not those of its config", () => {
    expect(entryOf({ ...imageJson, annotations }).annotations).toEqual(annotations);
    expect(entryOf({ ...indexJson, annotations }).annotations).toEqual(annotations);
    const annotated = { ...imageJson, config: { ...config, annotations } };
    expect(entryOf(annotated)).not.toHaveProperty("annotations");
  });

  test("keeps the digest that the manifest is known by", () => {
    const bytes = bytesOf(imageJson);
    const sha512 = digestOf(bytes, "sha512");
    expect(referrerOf(image, bytes, sha512).digest).toBe(sha512);
  });
});

test("content is described by its media type, digest and size", () => {
  const bytes = new TextEncoder().encode("naïve");
  expect(describeContent("text/plain", bytes)).toEqual({
    mediaType: "text/plain",
    digest: digestOf("naïve"),
    size: 6,
  });
});

describe("referrersTag (distribution-spec, Referrers Tag Schema)", () => {
  const a = (length: number) => "a".repeat(length);
  test.each([
    [`sha256:${a(64)}`, `sha256-${a(64)}`],
    [`sha512:${a(128)}`, `sha512-${a(64)}`],
    [
      "test+algorithm+using+algorithm+separators+and+lots+of+characters+to+excercise+overall+truncation:alsoSome=InTheEncodedSectionToShowHyphenReplacementAndLotsAndLotsOfCharactersToExcerciseEncodedTruncation",
      "test-algorithm-using-algorithm-s-alsoSome-InTheEncodedSectionToShowHyphenReplacementAndLotsAndLot",
    ],
  ])("%.40s", (digest, tag) => {
    expect(referrersTag(digest as Digest)).toBe(tag);
  });

  test("is a valid tag for any digest", () => {
    const digests = fc.stringMatching(/^[a-z0-9]+([+._-][a-z0-9]+)*:[a-zA-Z0-9=_-]+$/);
    fc.assert(
      fc.property(digests, (digest) => expect(isTag(referrersTag(digest as Digest))).toBe(true)),
    );
  });
});

describe("what an index has for a platform", () => {
  const on = (os: string, architecture: string, more: Partial<Platform> = {}): Descriptor => ({
    ...descriptor(`${os}/${architecture}/${JSON.stringify(more)}`, OCI_IMAGE_MANIFEST),
    platform: { os, architecture, ...more },
  });
  const amd64 = on("linux", "amd64");
  const arm64 = on("linux", "arm64", { variant: "v8" });
  const armv6 = on("linux", "arm", { variant: "v6" });
  const armv7 = on("linux", "arm", { variant: "v7" });
  const attestation = on("unknown", "unknown");
  const bare = descriptor("bare", OCI_IMAGE_MANIFEST);
  const nested = descriptor("nested", OCI_IMAGE_INDEX);
  const wanted: Platform = { os: "linux", architecture: "arm64" };
  const arm: Platform = { os: "linux", architecture: "arm" };

  test("is the manifest for the platform that is wanted", () => {
    expect(offerFor([bare, amd64, arm64, armv7], wanted, true).match).toBe(arm64);
    expect(offerFor([armv6, armv7], { ...arm, variant: "v7" }, false).match).toBe(armv7);
  });

  test("is the first of several that match", () => {
    expect(offerFor([amd64, armv6, armv7], arm, false).match).toBe(armv6);
  });

  test("is else the only one without a platform", () => {
    expect(offerFor([amd64, bare], wanted, false)).toMatchObject({ fallback: bare });
    expect(offerFor([bare, { ...bare }], wanted, false).fallback).toBeUndefined();
  });

  test("is the only one that there is, unless another platform was asked for", () => {
    expect(offerFor([amd64], wanted, true).fallback).toBe(amd64);
    expect(offerFor([amd64], wanted, false).fallback).toBeUndefined();
    expect(offerFor([amd64, armv7], wanted, true).fallback).toBeUndefined();
  });

  test("may be in an index within the index that doesn't say for what it is", () => {
    const placed = { ...nested, platform: wanted };
    expect(offerFor([nested, amd64, bare], wanted, true)).toMatchObject({
      match: undefined,
      indexes: [nested],
      fallback: bare,
    });
    expect(offerFor([placed], wanted, true)).toMatchObject({ match: placed, indexes: [] });
  });

  test("never is an attestation", () => {
    expect(offerFor([attestation, amd64, attestation], wanted, true).fallback).toBe(amd64);
    const annotations = { "vnd.docker.reference.type": "attestation-manifest" };
    const marked = { ...arm64, annotations };
    expect(offerFor([marked, attestation], wanted, true)).toEqual({
      match: undefined,
      indexes: [],
      fallback: undefined,
      offered: [],
    });
  });
});

describe("an index without the platform", () => {
  const wanted: Platform = { os: "linux", architecture: "arm64" };
  const entry = (n: number, more: Partial<Descriptor> = {}): Descriptor => ({
    ...descriptor(`entry ${n}`, OCI_IMAGE_MANIFEST),
    ...more,
  });
  const messageOf = (...offered: Descriptor[]) => new NoSuchPlatformError(wanted, offered).message;

  test("is told with all that it has: platforms, artifact types, digests", () => {
    const amd64 = entry(1, { platform: { os: "linux", architecture: "amd64" } });
    const gguf = entry(2, { artifactType: "application/x-gguf" });
    expect(messageOf(amd64, gguf, entry(3), amd64)).toBe(
      `no manifest for platform linux/arm64 in the index, which has linux/amd64, application/x-gguf (${gguf.digest}), ${entry(3).digest}`,
    );
    expect(messageOf()).toEndWith("which has none");
  });

  test("is told in bounded length", () => {
    const many = Array.from({ length: 5000 }, (_, n) =>
      entry(n, { platform: { os: `os${n}${"x".repeat(10_000)}`, architecture: "a" } }),
    );
    expect(messageOf(...many).length).toBeLessThan(2000);
    expect(messageOf(...many)).toEndWith(" and 4980 more");
  });
});

test("the host's platform is one that images are published for", () => {
  expect(["linux", "windows"]).toContain(hostPlatform().os);
  expect(["amd64", "arm64"]).toContain(hostPlatform().architecture);
});

describe("embeddedData", () => {
  test("is the content that a descriptor carries", () => {
    expect(embeddedData(EMPTY_DESCRIPTOR)).toEqual(new TextEncoder().encode("{}"));
  });

  test("is none where it is missing, cut, forged or not base64", () => {
    expect(embeddedData(descriptor("{}"))).toBeUndefined();
    expect(embeddedData({ ...EMPTY_DESCRIPTOR, size: 3 })).toBeUndefined();
    expect(embeddedData({ ...EMPTY_DESCRIPTOR, data: "e30" + "e30=" })).toBeUndefined();
    expect(embeddedData({ ...EMPTY_DESCRIPTOR, data: "W10=" })).toBeUndefined();
    expect(embeddedData({ ...EMPTY_DESCRIPTOR, data: "%%%" })).toBeUndefined();
  });

  test("is none where the digest can't be verified", () => {
    expect(embeddedData({ ...EMPTY_DESCRIPTOR, digest: "blake3:00" as Digest })).toBeUndefined();
  });
});
