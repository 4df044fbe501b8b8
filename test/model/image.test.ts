import { describe, expect, test } from "bun:test";
import { describeModel, plan } from "../../src/model/plan.ts";
import { digestOf } from "../../src/oci/digest.ts";
import {
  DOCKER_IMAGE_CONFIG,
  DOCKER_LAYER,
  OCI_IMAGE_CONFIG,
  OCI_LAYER,
  OCI_LAYER_ZSTD,
  OCI_UNCOMPRESSED_LAYER,
} from "../../src/oci/media-types.ts";
import { imageManifest, layer, refusal, targetsOf } from "./fixtures.ts";

const layers = [OCI_UNCOMPRESSED_LAYER, OCI_LAYER, OCI_LAYER_ZSTD].map((mediaType) =>
  layer({ mediaType }),
);
const json = (value: unknown) => new TextEncoder().encode(JSON.stringify(value));

describe("a container image", () => {
  test.each([OCI_IMAGE_CONFIG, DOCKER_IMAGE_CONFIG])("is known by its config %s", (configType) => {
    expect(plan(imageManifest(configType, [layer({ mediaType: DOCKER_LAYER })])).format).toBe(
      "image",
    );
  });

  test("is its layers, compressed as their types say", () => {
    expect(targetsOf(imageManifest(OCI_IMAGE_CONFIG, layers))).toEqual([
      "image-layer none",
      "image-layer gzip",
      "image-layer zstd",
    ]);
  });

  test("has its layers checked against the DiffIDs of its config", () => {
    const manifest = imageManifest(OCI_IMAGE_CONFIG, layers);
    const config = (...diffIds: unknown[]) => json({ rootfs: { diff_ids: diffIds } });
    const plain = layers[0]?.digest ?? "";
    const { files } = plan(manifest, config(plain, digestOf("1"), digestOf("2")));
    expect(files.map(({ diffId }) => diffId)).toEqual([undefined, digestOf("1"), digestOf("2")]);
    refusal(() => plan(manifest, config(digestOf("0"), digestOf("1"), digestOf("2"))));
    const unknown = plan(manifest, config(plain, "md5:x", 7)).files;
    expect(unknown.map(({ diffId }) => diffId)).toEqual([undefined, undefined, undefined]);
  });

  test("leaves out what is no layer of an image, and says so", () => {
    const attestation = layer({ mediaType: "application/vnd.in-toto+json" });
    const manifest = imageManifest(OCI_IMAGE_CONFIG, [...layers, attestation]);
    const { files, warnings } = plan(manifest);
    expect(files).toHaveLength(3);
    expect(warnings).toEqual([expect.stringContaining(attestation.digest)]);
  });

  test("without any layer of an image is an artifact like others", () => {
    const manifest = imageManifest(OCI_IMAGE_CONFIG, [layer({ mediaType: "text/plain" })]);
    expect(plan(manifest).format).toBe("unknown");
  });

  test("is described by its labels", () => {
    const config = {
      created: "2026-01-01T00:00:00Z",
      config: {
        Labels: {
          "org.opencontainers.image.licenses": "MIT",
          "org.opencontainers.image.title": "tiny",
        },
      },
    };
    expect(describeModel(imageManifest(OCI_IMAGE_CONFIG, layers), json(config))).toEqual({
      created: "2026-01-01T00:00:00Z",
      name: "tiny",
      licenses: ["MIT"],
    });
  });
});
