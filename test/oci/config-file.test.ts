import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { diffIdOf, parseConfigFile, platformOf } from "../../src/oci/config-file.ts";
import { digestOf } from "../../src/oci/digest.ts";
import type { ImageManifest } from "../../src/oci/manifest.ts";
import { OCI_IMAGE_CONFIG, OCI_LAYER } from "../../src/oci/media-types.ts";

const parse = (json: unknown) => parseConfigFile(new TextEncoder().encode(JSON.stringify(json)));

const config = {
  architecture: "arm64",
  os: "linux",
  variant: "v8",
  created: "2025-01-01T00:00:00Z",
  config: {
    User: "1000",
    Env: ["PATH=/usr/bin"],
    Entrypoint: ["/bin/sh"],
    Cmd: ["-c", "true"],
    WorkingDir: "/",
    Labels: { a: "b" },
  },
  rootfs: { type: "layers", diff_ids: [digestOf("one"), digestOf("two")] },
  history: [{ created_by: "COPY", empty_layer: false }, { empty_layer: true }],
};

describe("parseConfigFile", () => {
  test("reads an image's configuration, with the fields that it doesn't know", () => {
    expect(parse(config)).toEqual(config);
    const more = { ...config, docker_version: "20.10", config: { ...config.config, OnBuild: [] } };
    expect<unknown>(parse(more)).toEqual(more);
  });

  test("reads one without any field, as artifacts have it", () => {
    expect(parse({})).toEqual({});
  });

  test("takes null, which builders write for what is empty, for absent", () => {
    const nulls = {
      config: { Env: null, Cmd: null, Entrypoint: null, Labels: null, Volumes: null },
      rootfs: { type: "layers", diff_ids: null },
      history: null,
      created: null,
    };
    expect(parse(nulls)).toEqual({ config: {}, rootfs: { type: "layers" } });
    expect(parse({ config: null, rootfs: null })).toEqual({});
  });

  const refused: [unknown][] = [
    [null],
    [[]],
    ["x"],
    [1],
    [{ os: 1 }],
    [{ config: [] }],
    [{ config: { Env: "PATH=/" } }],
    [{ config: { Labels: { a: 1 } } }],
    [{ rootfs: [] }],
    [{ rootfs: { type: "layers", diff_ids: ["latest"] } }],
    [{ rootfs: { type: "layers", diff_ids: ["sha256:../x"] } }],
    [{ history: [null] }],
    [{ history: {} }],
    [{ config: { Labels: { "line\nfeed": 1 } } }],
  ];
  test.each(refused)("gives undefined for %j", (json) => {
    expect(parse(json)).toBeUndefined();
  });

  test("gives undefined or a configuration for any bytes", () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.uint8Array(),
          fc.json().map((text) => Buffer.from(text)),
        ),
        (bytes) => {
          expect(typeof parseConfigFile(bytes)).toBeOneOf(["object", "undefined"]);
        },
      ),
    );
    expect(parseConfigFile(new TextEncoder().encode("[".repeat(1_000_000)))).toBeUndefined();
    const deep = `{"x":${"[".repeat(200_000)}${"]".repeat(200_000)}}`;
    expect(typeof parseConfigFile(new TextEncoder().encode(deep))).toBeOneOf([
      "object",
      "undefined",
    ]);
  });
});

describe("platformOf", () => {
  test("is what the configuration says", () => {
    expect(platformOf(config)).toEqual({ os: "linux", architecture: "arm64", variant: "v8" });
    expect(
      platformOf({
        os: "windows",
        architecture: "amd64",
        "os.version": "10",
        "os.features": ["x"],
      }),
    ).toEqual({ os: "windows", architecture: "amd64", "os.version": "10", "os.features": ["x"] });
  });

  test("is undefined when system or architecture is missing or empty", () => {
    expect(platformOf({})).toBeUndefined();
    expect(platformOf({ os: "linux" })).toBeUndefined();
    expect(platformOf({ os: "linux", architecture: "" })).toBeUndefined();
  });
});

describe("diffIdOf", () => {
  const descriptor = (content: string, mediaType = OCI_LAYER) => ({
    mediaType,
    digest: digestOf(content),
    size: content.length,
  });
  const manifest: ImageManifest = {
    schemaVersion: 2,
    config: descriptor("{}", OCI_IMAGE_CONFIG),
    layers: [descriptor("one.gz"), descriptor("two.gz")],
  };

  test("is the DiffID at the layer's place", () => {
    expect(diffIdOf(manifest, config.rootfs, digestOf("one.gz"))).toBe(digestOf("one"));
    expect(diffIdOf(manifest, config.rootfs, digestOf("two.gz"))).toBe(digestOf("two"));
  });

  test("is undefined for what isn't a layer", () => {
    expect(diffIdOf(manifest, config.rootfs, digestOf("three.gz"))).toBeUndefined();
    expect(diffIdOf(manifest, config.rootfs, digestOf("{}"))).toBeUndefined();
  });

  test("is undefined when the counts differ, because then places mean nothing", () => {
    const one = { diff_ids: [digestOf("one")] };
    expect(diffIdOf(manifest, one, digestOf("one.gz"))).toBeUndefined();
    expect(diffIdOf(manifest, {}, digestOf("one.gz"))).toBeUndefined();
  });
});
