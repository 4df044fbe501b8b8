import { describe, expect, test } from "bun:test";
import { plan } from "../../src/model/plan.ts";
import { digestOf } from "../../src/oci/digest.ts";
import type { Manifest } from "../../src/oci/manifest.ts";
import {
  OCI_ARTIFACT_MANIFEST,
  OCI_EMPTY,
  OCI_LAYER,
  OCI_UNCOMPRESSED_LAYER,
} from "../../src/oci/media-types.ts";
import { imageManifest, layer, refusal, targetsOf } from "./fixtures.ts";

const titled = (title: string, more: Record<string, string> = {}) =>
  layer({
    mediaType: OCI_UNCOMPRESSED_LAYER,
    content: title,
    annotations: { "org.opencontainers.image.title": title, ...more },
  });
const folder = (title: string, more: Record<string, string> = {}) => ({
  ...titled(title, { "io.deis.oras.content.unpack": "true", ...more }),
  mediaType: OCI_LAYER,
});

describe("what ORAS pushes", () => {
  test.each([OCI_EMPTY, "application/vnd.unknown.config.v1+json"])(
    "with the config type %s is its files by title, though they have the type of a tar",
    (configType) => {
      const manifest = imageManifest(configType, [titled("model.gguf"), titled("a/b.txt")]);
      expect(plan(manifest).format).toBe("oras");
      expect(targetsOf(manifest)).toEqual(["model.gguf", "a/b.txt"]);
    },
  );

  test("of a directory is an archive that must stay within it", () => {
    const content = digestOf("the tar");
    const manifest = imageManifest(OCI_EMPTY, [
      folder("weights/tiny", { "io.deis.oras.content.digest": content }),
      folder("."),
      titled("x", { "io.deis.oras.content.unpack": "yes" }),
    ]);
    expect(targetsOf(manifest)).toEqual(["archive gzip within weights/tiny", "archive gzip", "x"]);
    expect(plan(manifest).files[0]?.diffId).toBe(content);
  });

  test("by its Python client has directories that only their type tells from files", () => {
    const typed = (title: string) => ({ ...titled(title), mediaType: OCI_LAYER });
    const names = ["weights", "weights-v1.5", "all.tar.gz", "all.TGZ"];
    expect(targetsOf(imageManifest(OCI_EMPTY, names.map(typed)))).toEqual([
      "archive gzip within weights",
      "archive gzip within weights-v1.5",
      "all.tar.gz",
      "all.TGZ",
    ]);
  });

  test("may be an artifact manifest, of which untitled blobs are left out with a warning", () => {
    const manifest: Manifest = {
      kind: "artifact",
      mediaType: OCI_ARTIFACT_MANIFEST,
      content: { blobs: [titled("a"), layer({ mediaType: "text/plain" })] },
    };
    const { format, files, warnings } = plan(manifest);
    expect({ format, files: files.length }).toEqual({ format: "oras", files: 1 });
    expect(warnings).toEqual([expect.stringContaining("has no title")]);
  });

  test("writes a config that has a title", () => {
    const manifest = imageManifest("application/json", [titled("a")]);
    if (manifest.kind !== "image") throw new Error("unreachable");
    manifest.content.config = titled("config/settings.json");
    expect(targetsOf(manifest)).toEqual(["config/settings.json", "a"]);
  });

  test("must not give one title to two contents", () => {
    const twin = { ...titled("b"), annotations: { "org.opencontainers.image.title": "a" } };
    const manifest = imageManifest(OCI_EMPTY, [titled("a"), twin]);
    expect(refusal(() => plan(manifest))).toContain('"a"');
  });

  test.each(["../x", "/tmp/x", "a/"])("is refused with the title %p", (title) => {
    refusal(() => plan(imageManifest(OCI_EMPTY, [titled(title)])));
  });

  test("isn't meant where a layer has no title", () => {
    const manifest = imageManifest(OCI_EMPTY, [titled("a"), layer({ mediaType: "text/plain" })]);
    expect(plan(manifest).format).toBe("unknown");
  });
});
