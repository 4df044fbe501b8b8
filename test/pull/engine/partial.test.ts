/** What lies beside the blobs while they come: also what somebody else has put there. */
import { describe, expect, test } from "bun:test";
import {
  existsSync,
  linkSync,
  mkdirSync,
  readFileSync,
  rmSync,
  statfsSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { PartialBlob } from "../../../src/pull/engine/partial.ts";
import { mayMount, mountMemory, mountTools } from "../../support/mount.ts";
import { runChecked } from "../../support/programs.ts";
import { temporaryDirectory } from "../../support/temp.ts";
import { testWith } from "../../support/tools.ts";

const MEBIBYTE = 2 ** 20;
const size = 4 * MEBIBYTE;

/** A partial blob whose first mebibyte is there. */
async function leave(path: string): Promise<void> {
  const partial = await PartialBlob.open(path, size);
  partial.note(0, MEBIBYTE);
  await partial.close();
}

/** What a run that begins now goes on with. */
async function found(path: string): Promise<object[]> {
  const partial = await PartialBlob.open(path, size);
  const extents = [...partial.written];
  await partial.close();
  return extents;
}

describe("an unfinished blob", () => {
  test("goes on with what an earlier run left", async () => {
    const path = join(temporaryDirectory(), "blob");
    await leave(path);
    expect(await found(path)).toEqual([{ start: 0, end: MEBIBYTE }]);
  });

  test.each<[string, (path: string, theirs: string) => void]>([
    ["a symlink", (path, theirs) => symlinkSync(theirs, path)],
    ["a symlink that leads nowhere", (path, theirs) => symlinkSync(`${theirs}.new`, path)],
    ["another name of somebody's file", (path, theirs) => linkSync(theirs, path)],
    ["a directory", (path) => mkdirSync(join(path, "sub"), { recursive: true })],
  ])("begins anew where %s is in its place, and touches nothing behind it", async (_, plant) => {
    const directory = temporaryDirectory();
    const [path, theirs] = [join(directory, "blob"), join(directory, "theirs")];
    writeFileSync(theirs, "");
    truncateSync(theirs, size);
    plant(path, theirs);
    const partial = await PartialBlob.open(path, size);
    expect([...partial.written]).toEqual([]);
    partial.note(0, size);
    await partial.seal();
    await partial.close();
    expect(statSync(path).size).toBe(size);
    expect(statSync(theirs)).toMatchObject({ size, nlink: 1 });
    expect(statSync(theirs).mode & 0o777).not.toBe(0o444);
    expect(existsSync(`${theirs}.new`)).toBe(false);
  });

  test("begins anew where a pipe is in its place", async () => {
    const path = join(temporaryDirectory(), "blob");
    await runChecked(["mkfifo", path]);
    expect(await found(path)).toEqual([]);
    await leave(path);
    rmSync(`${path}.journal`);
    await runChecked(["mkfifo", `${path}.journal`]);
    expect(await found(path)).toEqual([]);
  });

  test.each<[string, (path: string) => void]>([
    ["a symlink to what never ends", (path) => symlinkSync("/dev/zero", path)],
    ["a directory", (path) => mkdirSync(join(path, "sub"), { recursive: true })],
    ["a file larger than memory", (path) => truncateWhole(path, 2 ** 42)],
  ])("begins anew where its journal is %s", async (_, plant) => {
    const path = join(temporaryDirectory(), "blob");
    await leave(path);
    rmSync(`${path}.journal`);
    plant(`${path}.journal`);
    expect(await found(path)).toEqual([]);
    await leave(path);
    expect(await found(path)).toEqual([{ start: 0, end: MEBIBYTE }]);
  });

  test("has a small journal, however small the pieces are in which it comes", async () => {
    const path = join(temporaryDirectory(), "blob");
    const partial = await PartialBlob.open(path, size);
    for (let position = 0; position < size - 100; position += 16) {
      partial.note(position, position + 16);
    }
    await partial.close();
    expect(statSync(`${path}.journal`).size).toBeLessThan(8 * 1024);
    expect(await found(path)).toMatchObject([{ start: 0 }]);
    expect(readFileSync(`${path}.journal`, "latin1")).toContain(`written 0 ${size - 96} `);
  });
});

if (await mayMount()) {
  testWith(
    mountTools,
    "an unfinished blob is complete though its journal found no room",
    async () => {
      await using disk = await mountMemory(16 * MEBIBYTE);
      const path = join(disk.path, "blob");
      const partial = await PartialBlob.open(path, size);
      writeFileSync(path, new Uint8Array(size), { flag: "r+" });
      const { bavail, bsize } = statfsSync(disk.path);
      writeFileSync(join(disk.path, "filler"), new Uint8Array(bavail * bsize));
      // More lines than fit into what the journal has of the disk.
      for (let start = 0; start < size; start += 8192) partial.note(start + 4096, start + 8192);
      for (let start = 0; start < size; start += 8192) partial.note(start, start + 4096);
      await Bun.sleep(20);
      await partial.seal();
      await partial.close();
      expect(existsSync(`${path}.journal`)).toBe(false);
      expect(statSync(path).mode & 0o777).toBe(0o444);
    },
  );
} else {
  test.skip("an unfinished blob is complete though its journal found no room (skipped: needs root and mount)", () => {});
}

/** A sparse file. */
function truncateWhole(path: string, length: number): void {
  writeFileSync(path, "");
  truncateSync(path, length);
}
