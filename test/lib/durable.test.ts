import { describe, expect, test } from "bun:test";
import { mkdir, open, readdir, readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import {
  errorCode,
  isMissing,
  makeDirectory,
  syncDirectory,
  writeFileDurably,
  writeFully,
} from "../../src/lib/durable.ts";
import { temporaryDirectory } from "../support/temp.ts";

const failureOf = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    () => undefined,
    (error) => error,
  );

describe("makeDirectory", () => {
  test("creates a directory with its parents, and minds none that is there", async () => {
    const path = join(temporaryDirectory(), "a/b/c");
    for (let i = 0; i < 2; i++) {
      await makeDirectory(path);
      expect((await stat(path)).isDirectory()).toBe(true);
    }
  });

  test("creates the same directory for many at once", async () => {
    const path = join(temporaryDirectory(), "a/b/c");
    await Promise.all(Array.from({ length: 20 }, () => makeDirectory(path)));
    expect((await stat(path)).isDirectory()).toBe(true);
  });

  test("fails below a file", async () => {
    const root = temporaryDirectory();
    await writeFile(join(root, "file"), "");
    expect(isMissing(await failureOf(makeDirectory(join(root, "file/a"))))).toBe(true);
  });
});

describe("writeFileDurably", () => {
  test("writes text and bytes, replaces what is there, and leaves no temporary file", async () => {
    const root = temporaryDirectory();
    const path = join(root, "file");
    for (const content of ["☃ text", new Uint8Array([0, 255]), ""]) {
      await writeFileDurably(path, content, join(root, "temporary"));
      expect(await readFile(path)).toEqual(Buffer.from(content));
      expect(await readdir(root)).toEqual(["file"]);
    }
  });

  test("leaves the old content and no temporary file when it fails", async () => {
    const root = temporaryDirectory();
    const path = join(root, "directory");
    await mkdir(path);
    await writeFile(join(path, "file"), "old");
    expect(await failureOf(writeFileDurably(path, "new", join(root, "temporary")))).toBeDefined();
    expect(await readdir(root)).toEqual(["directory"]);
    expect(await readFile(join(path, "file"), "utf8")).toBe("old");
  });

  test("never shows a reader a part of the content", async () => {
    const root = temporaryDirectory();
    const path = join(root, "file");
    const contents = ["a".repeat(500_000), "b".repeat(500_000)];
    await writeFileDurably(path, contents[0] as string, join(root, "t"));
    let isWriting = true;
    const reading = (async () => {
      while (isWriting) expect(contents).toContain(await readFile(path, "utf8"));
    })();
    for (let i = 0; i < 10; i++) {
      await writeFileDurably(path, contents[i % 2] as string, join(root, `t${i}`));
    }
    isWriting = false;
    await reading;
  });
});

test("writeFully writes the whole chunk at its position", async () => {
  const path = join(temporaryDirectory(), "file");
  const handle = await open(path, "w");
  await writeFully(handle, Buffer.from("world"), 6);
  await writeFully(handle, Buffer.from("hello "), 0);
  await writeFully(handle, new Uint8Array(), 3);
  await handle.close();
  expect(await readFile(path, "utf8")).toBe("hello world");
});

test("syncDirectory fails for a directory that isn't there", async () => {
  const error = await failureOf(syncDirectory(join(temporaryDirectory(), "nowhere")));
  expect(isMissing(error)).toBe(true);
});

test("errorCode is the code of a system error, and undefined for anything else", async () => {
  expect(errorCode(await failureOf(readFile("/nowhere/at/all")))).toBe("ENOENT");
  for (const other of [new Error("x"), undefined, null, "ENOENT", { code: "ENOENT" }]) {
    expect(errorCode(other)).toBeUndefined();
    expect(isMissing(other)).toBe(false);
  }
});
