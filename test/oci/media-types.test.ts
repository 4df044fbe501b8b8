import { describe, expect, test } from "bun:test";
import * as types from "../../src/oci/media-types.ts";

const all = Object.entries(types).flatMap(([name, value]): [string, string][] =>
  typeof value === "string" ? [[name, value]] : [],
);

test("every constant is a media type, and no two are the same", () => {
  for (const [name, mediaType] of all)
    expect([name, types.isMediaType(mediaType)]).toEqual([name, true]);
  expect(new Set(all.map(([, mediaType]) => mediaType)).size).toBe(all.length);
});

test("each type is of one kind at most", () => {
  for (const [name, mediaType] of all) {
    const kinds = [
      types.isImage,
      types.isIndex,
      types.isSchema1,
      types.isConfig,
      types.isLayer,
    ].filter((is) => is(mediaType));
    expect([name, kinds.length <= 1]).toEqual([name, true]);
  }
});

test("image manifests are those of OCI and of Docker schema 2", () => {
  expect(all.filter(([, type]) => types.isImage(type)).map(([name]) => name)).toEqual([
    "DOCKER_MANIFEST",
    "OCI_IMAGE_MANIFEST",
  ]);
});

test("indexes are those of OCI and the lists of Docker", () => {
  expect(all.filter(([, type]) => types.isIndex(type)).map(([name]) => name)).toEqual([
    "DOCKER_MANIFEST_LIST",
    "OCI_IMAGE_INDEX",
  ]);
});

test("schema 1 is recognised signed and unsigned", () => {
  expect(types.isSchema1("application/vnd.docker.distribution.manifest.v1+json")).toBe(true);
  expect(types.isSchema1("application/vnd.docker.distribution.manifest.v1+prettyjws")).toBe(true);
});

test("the configuration of an artifact isn't that of an image", () => {
  expect(types.isConfig(types.OCI_IMAGE_CONFIG)).toBe(true);
  expect(types.isConfig(types.DOCKER_IMAGE_CONFIG)).toBe(true);
  expect(types.isConfig(types.OCI_EMPTY)).toBe(false);
  expect(types.isConfig("application/vnd.docker.ai.model.config.v0.1+json")).toBe(false);
});

test("layers that their licence keeps out of registries aren't distributable", () => {
  const kept = all.filter(([, type]) => !types.isDistributable(type)).map(([, type]) => type);
  expect(kept.sort()).toEqual([
    "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
    "application/vnd.oci.image.layer.nondistributable.v1.tar",
    "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip",
    "application/vnd.oci.image.layer.nondistributable.v1.tar+zstd",
  ]);
  for (const type of kept) expect(types.isLayer(type)).toBe(true);
});

describe("MANIFEST_TYPES", () => {
  test("holds every manifest that can be read, and no schema 1", () => {
    expect(
      types.MANIFEST_TYPES.filter((type) => types.isImage(type) || types.isIndex(type)),
    ).toHaveLength(4);
    expect(types.MANIFEST_TYPES).toContain(types.OCI_ARTIFACT_MANIFEST);
    expect(types.MANIFEST_TYPES.some(types.isSchema1)).toBe(false);
  });
});

describe("ociEquivalent", () => {
  test("maps a Docker type to an OCI type of the same kind", () => {
    for (const [name, type] of all.filter(([name]) => name.startsWith("DOCKER_"))) {
      const twin = types.ociEquivalent(type);
      if (twin === type) continue;
      expect([name, twin.includes("vnd.oci.")]).toEqual([name, true]);
      for (const is of [types.isImage, types.isIndex, types.isConfig, types.isLayer]) {
        expect([name, is(twin)]).toEqual([name, is(type)]);
      }
      expect(types.isDistributable(twin)).toBe(types.isDistributable(type));
    }
  });

  test("leaves every other type as it is", () => {
    expect(types.ociEquivalent(types.OCI_LAYER)).toBe(types.OCI_LAYER);
    expect(types.ociEquivalent("text/plain")).toBe("text/plain");
    expect(types.ociEquivalent(types.DOCKER_PLUGIN_CONFIG)).toBe(types.DOCKER_PLUGIN_CONFIG);
  });
});

describe("baseMediaType", () => {
  test.each([
    ["application/json", "application/json"],
    ["application/json; charset=utf-8", "application/json"],
    ["Application/JSON ;q=1;x", "application/json"],
    ["  text/plain  ", "text/plain"],
    ["", ""],
    [";", ""],
  ])("makes %j %j", (header, base) => {
    expect(types.baseMediaType(header)).toBe(base);
  });
});

describe("isMediaType", () => {
  test.each(["a/b", "application/vnd.oci.image.index.v1+json", "x-y/z!#$&^_.+-", "A/B", "0/0"])(
    "accepts %j",
    (text) => expect(types.isMediaType(text)).toBe(true),
  );

  test.each([
    "",
    "a",
    "/",
    "a/",
    "/b",
    "a/b/c",
    "a/b;c=d",
    " a/b",
    "a/b\n",
    "a/b\r\nx: y",
    "+a/b",
    "a/.b",
    "ä/b",
    `a/${"b".repeat(128)}`,
    "text/plain, text/html",
  ])("refuses %j", (text) => {
    expect(types.isMediaType(text)).toBe(false);
  });
});
