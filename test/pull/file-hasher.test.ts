import { expect, test } from "bun:test";
import { rmSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { digestOf } from "../../src/oci/digest.ts";
import { FileHasher } from "../../src/pull/file-hasher.ts";
import { temporaryDirectory } from "../support/temp.ts";

const MIB = 1024 * 1024;

function makeFile(size: number, fill: number) {
  const path = join(temporaryDirectory(), "file");
  const bytes = new Uint8Array(size).fill(fill);
  writeFileSync(path, bytes);
  return { path, size, digest: digestOf(bytes) };
}

/** Not `rejects`, which lets no messages of threads come in. */
const errorOf = (promise: Promise<unknown>) => promise.then(String, (error: unknown) => error);

test("files of any size have the digest of their content, many at a time", async () => {
  using hasher = new FileHasher();
  const sizes = [0, 1, 4 * MIB, 4 * MIB + 1, 20 * MIB, 5 * MIB, 6 * MIB, 7 * MIB, 8 * MIB];
  const files = sizes.map((size, index) => makeFile(size, index));
  const digests = await Promise.all(files.map(({ path, size }) => hasher.digest(path, size)));
  expect(digests).toEqual(files.map(({ digest }) => digest));
});

test("a file that shrank, or went, is an error that names it", async () => {
  using hasher = new FileHasher();
  const { path, size } = makeFile(9 * MIB, 1);
  truncateSync(path, MIB);
  const shorter = { path, message: "the file is shorter than it was" };
  expect(await errorOf(hasher.digest(path, size))).toMatchObject(shorter);
  rmSync(path);
  expect(await errorOf(hasher.digest(path, size))).toMatchObject({ code: "ENOENT", path });
});

test("an abort is heard at once, and others go on", async () => {
  using hasher = new FileHasher();
  const [one, other] = [makeFile(200 * MIB, 1), makeFile(5 * MIB, 2)];
  const controller = new AbortController();
  const aborted = hasher.digest(one.path, one.size, controller.signal);
  const going = hasher.digest(other.path, other.size);
  controller.abort(new Error("enough"));
  expect(await errorOf(aborted)).toMatchObject({ message: "enough" });
  expect(await going).toBe(other.digest);
  expect(await hasher.digest(other.path, other.size)).toBe(other.digest);
});
