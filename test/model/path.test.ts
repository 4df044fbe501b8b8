import { describe, expect, test } from "bun:test";
import { isAbsolute, join, normalize } from "node:path";
import fc from "fast-check";
import { Failure } from "../../src/lib/failure.ts";
import { checkedFilePath, checkedPath, PathSet } from "../../src/model/path.ts";
import { refusal } from "./fixtures.ts";

const refused = (path: string) => refusal(() => checkedPath(path, "a test"));

describe("a path from outside", () => {
  test.each([
    ["config.json", "config.json"],
    ["./config.json", "config.json"],
    ["././a/b", "a/b"],
    ["a/b/", "a/b"],
    ["a..b/..c/d..", "a..b/..c/d.."],
    ["...", "..."],
    ["模型/权重.safetensors", "模型/权重.safetensors"],
    [`${"a".repeat(200)}/`.repeat(5).slice(0, -1), Array(5).fill("a".repeat(200)).join("/")],
    [".", ""],
    ["./", ""],
    ["x".repeat(255), "x".repeat(255)],
  ])("%p is taken as %p", (path, clean) => {
    expect(checkedPath(path, "a test")).toBe(clean);
  });

  test.each([
    ["", "empty"],
    ["/etc/passwd", "absolute"],
    ["//host/share", "absolute"],
    ["C:\\x", "backslash"],
    ["c:x", "drive"],
    ["./C:", "drive"],
    ["a\\b", "backslash"],
    ["..", '".."'],
    ["../x", '".."'],
    ["a/../b", '".."'],
    ["a/..", '".."'],
    ["./../x", '".."'],
    ["a/./b", '"."'],
    ["a//b", "empty component"],
    ["a\0b", "control character"],
    ["a\nb", "control character"],
    ["a\x7fb", "control character"],
    ["a\u0085b", "control character"],
    ["a\ud800b", "UTF-8"],
    ["a\ufffdb", "UTF-8"],
    ["x".repeat(256), "255 bytes"],
    ["é".repeat(128), "255 bytes"],
    [`${"a/".repeat(32)}b`, "32 components"],
    [`${`${"a".repeat(100)}/`.repeat(10)}${"b".repeat(15)}`, "1024 bytes"],
    [".ocireg/blobs/x", "downloads are kept"],
    [".OCIREG", "downloads are kept"],
  ])("%p is refused: %s", (path, reason) => {
    expect(refused(path)).toContain(reason);
  });

  test("names no file when it is a directory", () => {
    expect(refusal(() => checkedFilePath("a/", "a test"))).toContain("names no file");
    expect(refusal(() => checkedFilePath(".", "a test"))).toContain("names no file");
  });

  test("never leads outside, whatever it is", () => {
    const piece = fc.constantFrom("..", ".", "/", "\\", "a", "C:", "\0", "%2e", "\u2024", "é", "");
    const text = fc.oneof(
      fc.string({ unit: "binary" }),
      fc.array(piece, { maxLength: 8 }).map((parts) => parts.join("")),
      fc.array(piece, { maxLength: 8 }).map((parts) => parts.join("/")),
    );
    fc.assert(
      fc.property(text, (path) => {
        let clean: string;
        try {
          clean = checkedPath(path, "a test");
        } catch (error) {
          expect(error).toBeInstanceOf(Failure);
          return;
        }
        expect(isAbsolute(clean)).toBe(false);
        expect(join("/root/model", clean).startsWith("/root/model")).toBe(true);
        expect(clean === "" || normalize(clean) === clean).toBe(true);
        // What is clean stays as it is.
        if (clean !== "") expect(checkedPath(clean, "a test")).toBe(clean);
      }),
      { numRuns: 2000 },
    );
  });
});

describe("paths of one tree", () => {
  const claim = (...paths: string[]) => {
    const set = new PathSet();
    for (const path of paths) {
      if (path.endsWith("/")) set.addDirectory(path.slice(0, -1), "a test");
      else set.addFile(path, "a test");
    }
  };

  test("may share directories", () => {
    claim("a/", "a/b", "a/c/d", "a/c/", "a/", "e");
  });

  test.each([
    ["the same file twice", ["a", "a"]],
    ["files that differ by case", ["Config.json", "config.JSON"]],
    ["files that differ by Unicode form", ["caf\u00e9", "cafe\u0301"]],
    ["files that differ by a ligature", ["\ufb01le", "file"]],
    ["ß and ss", ["straße", "STRASSE"]],
    ["directories that differ by case", ["a/x", "A/y"]],
    ["a file where a directory is", ["a/b", "a"]],
    ["a directory where a file is", ["a", "a/"]],
    ["a file below a file", ["a", "a/b"]],
  ])("must not be %s", (_, paths) => {
    expect(refusal(() => claim(...paths))).toContain("refused the path");
  });

  test("are named as they were claimed", () => {
    expect(refusal(() => claim("a/B/c", "a/b/d"))).toContain(
      '"a/b/d" of a test: it collides with "a/B"',
    );
    expect(refusal(() => claim("a/B", "a/b"))).toContain('it collides with "a/B"');
    expect(refusal(() => claim("a/b", "a/b"))).toContain("it is there already");
  });
});
