import { describe, expect, test } from "bun:test";
import {
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { linkFile } from "../../src/pull/link.ts";
import { temporaryDirectory } from "../support/temp.ts";

function place(): { source: string; target: string } {
  const directory = temporaryDirectory();
  mkdirSync(join(directory, "sub"));
  const source = join(directory, "source");
  writeFileSync(source, "content");
  return { source, target: join(directory, "sub", "target") };
}

describe("a second name for a file", () => {
  test("shows its content", async () => {
    const { source, target } = place();
    await linkFile(source, target, "copy");
    expect(readFileSync(target, "utf8")).toBe("content");
    expect(lstatSync(target).isFile()).toBe(true);
  });

  test("never replaces what is there", async () => {
    const { source, target } = place();
    writeFileSync(target, "mine");
    await expect(linkFile(source, target, "symlink")).rejects.toThrow("EEXIST");
    expect(readFileSync(target, "utf8")).toBe("mine");
  });

  test("needs the file", async () => {
    const { source, target } = place();
    rmSync(source);
    await expect(linkFile(source, target, "symlink")).rejects.toThrow("ENOENT");
    expect(existsSync(target)).toBe(false);
  });

  const device = statSync(dirname(temporaryDirectory())).dev;
  const otherDisk = ["/dev/shm", "/var/tmp"].find(
    (path) => existsSync(path) && statSync(path).dev !== device,
  );
  if (otherDisk !== undefined) {
    test("on another file system is a symlink or a copy, as wanted", async () => {
      const { source } = place();
      const there = mkdtempSync(join(otherDisk, "ocireg-test-"));
      try {
        await linkFile(source, join(there, "copy"), "copy");
        await linkFile(source, join(there, "symlink"), "symlink");
        expect(lstatSync(join(there, "copy")).isFile()).toBe(true);
        expect(readlinkSync(join(there, "symlink"))).toStartWith("../");
        for (const name of ["copy", "symlink"]) {
          expect(readFileSync(join(there, name), "utf8")).toBe("content");
        }
      } finally {
        rmSync(there, { recursive: true });
      }
    });
  }
});
