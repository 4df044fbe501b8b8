import { beforeAll, describe, expect, test } from "bun:test";
import { linkSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Compression } from "../../src/model/planned-file.ts";
import { parseDigest } from "../../src/oci/digest.ts";
import { BlobDirectory } from "../../src/pull/blobs.ts";
import { UnpackedLayers } from "../../src/pull/unpack/layers.ts";
import type { PlannedArchive } from "../../src/pull/unpack/unpack-layer.ts";
import { Unpacking } from "../../src/pull/unpack/unpacking.ts";
import { temporaryDirectory } from "../support/temp.ts";
import { describeWith } from "../support/tools.ts";
import { type ClientProgram, clientProgram, containerStorage } from "./client.ts";

interface Blob {
  readonly digest: string;
  readonly size: number;
  readonly mediaType: string;
}

describeWith("buildah", "the layers of an image that buildah made", () => {
  let buildah: ClientProgram;

  /** Makes an image that differs from another one by what `change` does to its files. */
  async function build(from: string, image: string, change: (root: string) => void): Promise<void> {
    const container = await buildah("from", from);
    change(await buildah("mount", container));
    await buildah("umount", container);
    await buildah("commit", container, image);
    await buildah("rm", container);
  }

  beforeAll(async () => {
    buildah = clientProgram("buildah", containerStorage());
    await build("scratch", "lower", (root) => {
      const models = join(root, "models");
      for (const folder of ["etc", "models/weights", "models/replaced", "models/gone"]) {
        mkdirSync(join(root, folder), { recursive: true });
      }
      writeFileSync(join(root, "etc/motd"), "hello");
      writeFileSync(join(models, "config.json"), "{}");
      writeFileSync(join(models, "weights/a.bin"), "weights");
      writeFileSync(join(models, "old.txt"), "old");
      writeFileSync(join(models, "replaced/old"), "old");
      writeFileSync(join(models, "gone/x"), "x");
      symlinkSync("weights/a.bin", join(models, "model.file"));
      linkSync(join(models, "weights/a.bin"), join(models, "hard.bin"));
    });
    await build("lower", "upper", (root) => {
      const models = join(root, "models");
      writeFileSync(join(models, "config.json"), '{"new":true}');
      for (const path of ["old.txt", "replaced", "gone"]) {
        rmSync(join(models, path), { recursive: true });
      }
      mkdirSync(join(models, "replaced"));
      writeFileSync(join(models, "replaced/new"), "new");
    });
  }, 60_000);

  describe.each<[string, Compression]>([
    ["gzip", "gzip"],
    ["zstd", "zstd"],
    ["zstd:chunked", "zstd"],
  ])("compressed with %s", (name, compression) => {
    test("show the model that the image shows", async () => {
      const layout = join(temporaryDirectory(), "layout");
      const how = [`--compression-format=${name}`, "--format=oci"];
      await buildah("push", ...how, "upper", `oci:${layout}:v1`);
      const blobs = new BlobDirectory(layout);
      const json = (digest: string) =>
        JSON.parse(readFileSync(blobs.path(parseDigest(digest)), "utf8"));
      const index = JSON.parse(readFileSync(join(layout, "index.json"), "utf8"));
      const manifest = json(index.manifests[0].digest);
      const diffIds: string[] = json(manifest.config.digest).rootfs.diff_ids;
      expect(diffIds.length).toBeGreaterThan(1);
      const files = manifest.layers.map((blob: Blob, i: number): PlannedArchive => {
        expect(blob.mediaType).toEndWith(`+${compression}`);
        return {
          descriptor: { ...blob, digest: parseDigest(blob.digest) },
          target: { kind: "image-layer", compression },
          diffId: parseDigest(diffIds[i] ?? ""),
        };
      });

      const unpacked = temporaryDirectory();
      const layers = new UnpackedLayers(join(unpacked, "layers"), join(unpacked, "working"));
      const unpacking = new Unpacking(files, blobs, layers);
      for (const { descriptor } of files) {
        await unpacking.receive(descriptor, new AbortController().signal);
      }
      const shown = unpacking
        .modelFiles()
        .map(({ path, source }) => [path, readFileSync(source, "utf8")]);
      expect(Object.fromEntries(shown)).toEqual({
        "config.json": '{"new":true}',
        "hard.bin": "weights",
        "model.file": "weights",
        "replaced/new": "new",
        "weights/a.bin": "weights",
      });
    }, 60_000);
  });
});
