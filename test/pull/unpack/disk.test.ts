import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { DOCKER_CONFIG_TAR, DOCKER_CONFIG_V01 } from "../../../src/model/docker.ts";
import { BlobDirectory } from "../../../src/pull/blobs.ts";
import { Cache } from "../../../src/pull/cache.ts";
import { pull } from "../../../src/pull/pull.ts";
import { UnpackedLayers } from "../../../src/pull/unpack/layers.ts";
import { Unpacking } from "../../../src/pull/unpack/unpacking.ts";
import { mayMount, mountMemory, mountTools } from "../../support/mount.ts";
import { testWith } from "../../support/tools.ts";
import { failureOf, pushArtifact, startWorld, type World } from "../fixtures.ts";
import { tar } from "../tar.ts";
import { plannedArchive } from "./fixtures.ts";

const MEBIBYTE = 1024 * 1024;

if (await mayMount()) {
  describe("a disk with too little room", () => {
    let world: World;
    beforeAll(async () => {
      world = await startWorld();
    });
    afterAll(() => world.registry.stop());

    testWith(
      mountTools,
      "for an archive and its content is seen before it is fetched",
      async () => {
        await using disk = await mountMemory(32 * MEBIBYTE);
        const reference = world.reference("user/model:v1");
        const content = tar({ name: "vocab.txt", content: new Uint8Array(20 * MEBIBYTE) });
        await pushArtifact(world, reference, {
          configType: DOCKER_CONFIG_V01,
          layers: [{ mediaType: DOCKER_CONFIG_TAR, content }],
        });
        const { client } = world;
        const cache = new Cache(join(disk.path, "cache"));
        for (const output of [undefined, join(disk.path, "out")]) {
          world.sent.bytes = 0;
          const { message } = await failureOf(pull({ reference, client, cache, output }), "disk");
          expect(message).toContain("not enough space");
          // The config alone, which is 2 bytes.
          expect(world.sent.bytes).toBeLessThanOrEqual(2);
        }
      },
    );

    testWith(
      mountTools,
      "for what an archive becomes is said, and nothing of it left",
      async () => {
        await using disk = await mountMemory(16 * MEBIBYTE);
        const content = new Uint8Array(20 * MEBIBYTE);
        const bytes = new Uint8Array(gzipSync(tar({ name: "vocab.txt", content })));
        const target = { kind: "archive", role: "content", compression: "gzip" } as const;
        const file = plannedArchive(bytes, target);
        const blobs = new BlobDirectory(disk.path);
        writeFileSync(join(disk.path, "new"), bytes);
        await blobs.adopt(file.descriptor.digest, join(disk.path, "new"));

        const layers = new UnpackedLayers(join(disk.path, "unpacked"), join(disk.path, "working"));
        const unpacking = new Unpacking([file], blobs, layers);
        const done = unpacking.receive(file.descriptor, new AbortController().signal);
        await expect(done).rejects.toThrow("ENOSPC");
        expect(readdirSync(disk.path)).toEqual(["blobs"]);
      },
    );
  });
} else {
  test.skip("a disk with too little room (skipped: needs root and mount)", () => {});
}
