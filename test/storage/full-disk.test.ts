import { expect, test } from "bun:test";
import { readdirSync } from "node:fs";
import { open, rm, statfs } from "node:fs/promises";
import { join } from "node:path";
import { digestOf } from "../../src/oci/digest.ts";
import { openFilesystemStore } from "../../src/storage/filesystem/store.ts";
import { mayMount, mountMemory } from "../support/mount.ts";
import { imageManifest, pushBlob, readBlob } from "./behaviour.ts";

const mebibyte = 2 ** 20;

async function* zeros(bytes: number): AsyncGenerator<Uint8Array> {
  for (let sent = 0; sent < bytes; sent += mebibyte) yield new Uint8Array(mebibyte);
}

/** What the promise failed with, as a system error's code. */
async function errorOf(promise: Promise<unknown>): Promise<string | undefined> {
  return promise.then(
    () => undefined,
    (error: NodeJS.ErrnoException) => error.code,
  );
}

if (await mayMount()) {
  test("an upload that fills the disk gives the room back, and goes on where it was", async () => {
    await using disk = await mountMemory(8 * mebibyte);
    const store = await openFilesystemStore(disk.path);
    const { id } = await store.createUpload("a");
    await store.appendUpload("a", id, zeros(mebibyte));
    expect(await errorOf(store.appendUpload("a", id, zeros(20 * mebibyte)))).toBe("ENOSPC");
    const { bavail, bsize } = await statfs(disk.path);
    expect(bavail * bsize).toBeGreaterThan(6 * mebibyte);
    expect((await store.uploadStatus("a", id)).offset).toBe(mebibyte);
    await store.appendUpload("a", id, zeros(mebibyte));
    const digest = digestOf(new Uint8Array(2 * mebibyte));
    await store.completeUpload("a", id, digest);
    expect((await store.openBlob("a", digest)).size).toBe(2 * mebibyte);
  });

  test("on a full disk nothing is taken, nothing is left behind, and what is there is read", async () => {
    await using disk = await mountMemory(4 * mebibyte);
    const store = await openFilesystemStore(disk.path);
    const blob = await pushBlob(store, "a", "{}");
    const options = { tags: ["v1"], sparse: "image" as const };
    const kept = await store.putManifest("a", { bytes: imageManifest([]), ...options });
    const filler = join(disk.path, "filler");
    const fill = async () => {
      await using file = await open(filler, "w");
      for (let full = false; !full; ) {
        full = (await errorOf(file.write(new Uint8Array(4096)))) === "ENOSPC";
      }
    };
    await fill();
    for (let i = 0; i < 5; i++) {
      const bytes = imageManifest([], { annotations: { i: String(i), text: "x".repeat(8192) } });
      expect(await errorOf(store.putManifest("a", { bytes, ...options }))).toBe("ENOSPC");
      expect(await errorOf(store.createUpload("a"))).toBe("ENOSPC");
    }
    expect(readdirSync(join(disk.path, ".ocireg/tmp"))).toEqual([]);
    const uploads = join(disk.path, "docker/registry/v2/repositories/a/_uploads");
    expect(readdirSync(uploads)).toEqual([]);
    expect((await store.getManifest("a", "v1")).digest).toBe(kept.digest);
    expect(await readBlob(await store.openBlob("a", blob))).toBe("{}");

    await rm(filler);
    expect(await pushBlob(store, "a", "again")).toBe(digestOf("again"));
  });
}
