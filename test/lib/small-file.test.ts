import { describe, expect, test } from "bun:test";
import { mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { readSmallFile } from "../../src/lib/small-file.ts";
import { temporaryDirectory } from "../support/temp.ts";

describe("a small file", () => {
  test("is read as it is", async () => {
    const path = join(temporaryDirectory(), "file");
    writeFileSync(path, "content");
    expect((await readSmallFile(path, 7))?.toString()).toBe("content");
  });

  test("isn't one that is missing, too large, or something else", async () => {
    const directory = temporaryDirectory();
    const path = (name: string) => join(directory, name);
    writeFileSync(path("large"), "content");
    symlinkSync("large", path("link"));
    mkdirSync(path("directory"));
    Bun.spawnSync(["mkfifo", path("pipe")]);
    for (const name of ["missing", "large", "link", "directory", "pipe", "large/below"]) {
      expect([name, await readSmallFile(path(name), 6)]).toEqual([name, undefined]);
    }
    expect(await readSmallFile(path("link"), 100)).toBeUndefined();
  });
});
