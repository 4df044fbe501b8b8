import { describe, expect, test } from "bun:test";
import {
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { digestOf } from "../../../src/oci/digest.ts";
import { DEFAULT_LIMITS } from "../../../src/pull/unpack/limits.ts";
import { unpackLayer } from "../../../src/pull/unpack/unpack-layer.ts";
import { requireTool, runChecked } from "../../support/programs.ts";
import { temporaryDirectory } from "../../support/temp.ts";
import { failureOf } from "../fixtures.ts";
import { concat, type Entry, pax, tar, tarEntry } from "../tar.ts";
import { plannedArchive, type Unpacked, type UnpackingOptions, unpackBytes } from "./fixtures.ts";

/** Unpacks it in a place where nothing else is. */
function unpack(archive: Uint8Array, options: UnpackingOptions = {}): Unpacked {
  return unpackBytes(archive, { kind: "archive", role: "content", compression: "none" }, options);
}

/** Unpacks what has to be refused, and checks that nothing but the output directory was touched. */
async function refusal(archive: Uint8Array, options?: UnpackingOptions): Promise<string> {
  const { place, done } = unpack(archive, options);
  const { message } = await failureOf(done, "content");
  expect(readdirSync(place).sort()).toEqual(["archive", "out"]);
  return message;
}

async function unpacked(...entries: Entry[]): Promise<string[]> {
  return Object.keys(await unpack(tar(...entries)).files()).sort();
}

describe("an archive is unpacked", () => {
  test("to files with their contents, sizes and digests", async () => {
    const { done, files } = unpack(
      tar(
        { name: "config.json", content: "{}" },
        { name: "empty" },
        { name: "a/b/c", content: "x" },
      ),
    );
    expect(await done).toEqual([
      { kind: "file", path: "config.json", number: 0, size: 2, digest: digestOf("{}") },
      { kind: "file", path: "empty", number: 1, size: 0, digest: digestOf("") },
      { kind: "file", path: "a/b/c", number: 2, size: 1, digest: digestOf("x") },
    ]);
    expect(await files()).toEqual({ "config.json": "{}", empty: "", "a/b/c": "x" });
  });

  test("to files that are called by numbers, so that no name of its own is on the disk", async () => {
    const { out, done } = unpack(tar({ name: "a/b" }, { name: "c/", type: "5" }, { name: "c/d" }));
    await done;
    expect(readdirSync(out).sort()).toEqual(["0", "1"]);
  });

  test("without the ./ that tar -C dir . writes", async () => {
    expect(
      await unpacked(
        { name: "./", type: "5" },
        { name: "./sub/", type: "5" },
        { name: "./sub/a", content: "1" },
        { name: "sub/b" },
      ),
    ).toEqual(["sub/a", "sub/b"]);
  });

  test("with dots in names, and code and pickles as they are", async () => {
    const pickle = "cos\nsystem\n(S'touch evil'\ntR.";
    const names = ["a..b", "..a", "a../...", "model.pt", "modeling.py"];
    const { files } = unpack(tar(...names.map((name) => ({ name, content: pickle }))));
    expect(await files()).toEqual(Object.fromEntries(names.map((name) => [name, pickle])));
  });

  test("with modes 0644 and 0755, without owners and special bits", async () => {
    const { out, done } = unpack(
      tar(
        { name: "plain", mode: 0o600 },
        { name: "program", mode: 0o6711 },
        { name: "open", mode: 0o666 },
      ),
    );
    await done;
    const mode = (name: string) => (statSync(join(out, name)).mode & 0o7777).toString(8);
    expect(["0", "1", "2"].map(mode)).toEqual(["644", "755", "644"]);
    expect(statSync(join(out, "0")).uid).toBe(process.getuid?.() ?? 0);
  });

  test("with a hard link to an earlier file as that content again", async () => {
    const { out, files } = unpack(
      tar({ name: "a", content: "same" }, { name: "b", type: "1", linkname: "./a" }),
    );
    expect(await files()).toEqual({ a: "same", b: "same" });
    expect(readdirSync(out)).toEqual(["0"]);
  });

  test("with names that PAX and GNU headers give", async () => {
    const long = `${"d".repeat(200)}/${"f".repeat(200)}`;
    const archive = concat(
      pax({ path: `pax/${long}` }),
      tarEntry({ name: "short", content: "1" }),
      tarEntry({ name: "././@LongLink", type: "L", content: `gnu/${long}\0` }),
      tarEntry({ name: "short", content: "2" }),
      new Uint8Array(1024),
    );
    expect(await unpack(archive).files()).toEqual({ [`pax/${long}`]: "1", [`gnu/${long}`]: "2" });
  });

  test("with sizes that PAX headers and base 256 give", async () => {
    const base256 = Buffer.alloc(12);
    base256[0] = 0x80;
    base256[11] = 3;
    const field = base256.toString("latin1");
    const inBase256 = tarEntry({ name: "b", content: "abc" });
    inBase256.set(Buffer.from(field, "latin1"), 124);
    fixChecksum(inBase256);
    const archive = concat(
      pax({ size: "5" }),
      tarEntry({ name: "a", content: "hello", size: "00000000000\0" }),
      inBase256,
      tarEntry({ name: "c" }),
      new Uint8Array(1024),
    );
    expect(await unpack(archive).files()).toEqual({ a: "hello", b: "abc", c: "" });
  });

  test("as GNU tar packed it", async () => {
    const source = temporaryDirectory();
    mkdirSync(join(source, "sub"));
    writeFileSync(join(source, "sub/x"), "x".repeat(100_000));
    writeFileSync(join(source, "ü.txt"), "ü");
    for (const format of ["gnu", "posix", "ustar"]) {
      const archive = join(temporaryDirectory(), "a.tar");
      await runChecked([
        requireTool("tar"),
        `--format=${format}`,
        "-C",
        source,
        "-cf",
        archive,
        ".",
      ]);
      expect(await unpack(readFileSync(archive)).files()).toEqual({
        "sub/x": "x".repeat(100_000),
        "ü.txt": "ü",
      });
    }
  });
});

/** Computes the checksum of the header at the start of `bytes` again. */
function fixChecksum(bytes: Uint8Array): void {
  bytes.fill(32, 148, 156);
  const sum = bytes.subarray(0, 512).reduce((total, byte) => total + byte, 0);
  bytes.set(new TextEncoder().encode(`${sum.toString(8).padStart(6, "0")}\0 `), 148);
}

describe("what follows the end of an archive", () => {
  test("is read, because the digest of the decompressed archive counts it, and means nothing", async () => {
    const bytes = concat(
      tar({ name: "a", content: "1" }),
      tar({ name: "../evil" }).subarray(0, 700),
    );
    const { place, files } = unpack(bytes, { diffId: digestOf(bytes) });
    expect(await files()).toEqual({ a: "1" });
    expect(readdirSync(place).sort()).toEqual(["archive", "out"]);
  });
});

describe("an archive is refused", () => {
  const file = { name: "a", content: "1" };

  test.each<[string, Entry[]]>([
    ["an absolute path", [{ name: "/tmp/ocireg-evil" }]],
    ["a drive", [{ name: "C:/x" }]],
    ["a backslash", [{ name: "..\\evil" }]],
    ["an empty name", [{ name: "" }]],
    ["a path that climbs", [{ name: "../evil" }]],
    ["a path that climbs after a folder", [{ name: "a/../../evil" }]],
    ["a folder that climbs", [{ name: "../evil/", type: "5" }]],
    ["a control character", [{ name: "a\x01b" }]],
    ["bytes that aren't UTF-8", [{ name: "", rawName: new Uint8Array([0x61, 0xff, 0x62]) }]],
    ["too deep a path", [{ name: `${"a/".repeat(40)}b` }]],
    ["a symlink", [{ name: "link", type: "2", linkname: "a" }]],
    ["a symlink to the outside", [{ name: "link", type: "2", linkname: "/etc/passwd" }]],
    [
      "a file through a symlink",
      [
        { name: "link", type: "2", linkname: ".." },
        { name: "link/evil", content: "x" },
      ],
    ],
    ["a hard link to the outside", [{ name: "link", type: "1", linkname: "/etc/passwd" }]],
    ["a hard link that climbs", [{ name: "link", type: "1", linkname: "../archive.tar" }]],
    ["a hard link to what isn't there", [{ name: "link", type: "1", linkname: "later" }]],
    ["a character device", [{ name: "dev", type: "3" }]],
    ["a block device", [{ name: "dev", type: "4" }]],
    ["a FIFO", [{ name: "fifo", type: "6" }]],
    ["a type that nobody knows", [{ name: "x", type: "Z" }]],
    ["an old sparse file", [{ name: "x", type: "S" }]],
    ["the same file twice", [file, file]],
    ["files that differ by case", [file, { name: "A" }]],
    ["files that differ by Unicode form", [{ name: "caf\u00e9" }, { name: "cafe\u0301" }]],
    ["a file below a file", [file, { name: "a/b" }]],
    ["a file where a folder is", [{ name: "a/b" }, { name: "a" }]],
    ["a folder where a file is", [file, { name: "a/", type: "5" }]],
    ["our own folder", [{ name: ".ocireg/oci_metadata.json" }]],
    ["a size that is no number", [{ name: "a", size: "nonsense\0\0\0\0" }]],
    ["a negative size", [{ name: "a", size: "-1\0" }]],
  ])("with %s", async (_, entries) => {
    expect(await refusal(tar(...entries))).toMatch(/^refused|isn't a valid tar archive/);
  });

  test("with a NUL in a PAX path, and with a PAX path that climbs", async () => {
    for (const path of ["a\0b", "../evil", "/evil"]) {
      await refusal(concat(pax({ path }), tarEntry({ name: "ok" }), new Uint8Array(1024)));
      await refusal(concat(pax({ path }, "g"), tarEntry({ name: "ok" }), new Uint8Array(1024)));
    }
  });

  test("with a part of a name over 255 bytes", async () => {
    const path = "x".repeat(256);
    const archive = concat(pax({ path }), tarEntry({ name: "ok" }), new Uint8Array(1024));
    expect(await refusal(archive)).toContain("255 bytes");
  });

  test("with a sparse file in PAX form", async () => {
    const records = { "GNU.sparse.major": "1", "GNU.sparse.realsize": "1000000" };
    const archive = concat(pax(records), tarEntry({ name: "x" }), new Uint8Array(1024));
    expect(await refusal(archive)).toContain("sparse");
  });

  test("with a PAX size that is no number", async () => {
    for (const size of ["-1", "1e3", "9007199254740993", "99999999999999999999", ""]) {
      const archive = concat(pax({ size }), tarEntry({ name: "x" }), new Uint8Array(1024));
      expect(await refusal(archive)).toContain("invalid size");
    }
  });

  test("with a sparse file behind a PAX comment that looks like a size", async () => {
    const archive = concat(
      pax({ comment: "\n13 size=1024" }),
      tarEntry({ name: "ok" }),
      tarEntry({ name: "x", type: "S", content: "map" }),
      new Uint8Array(1024),
    );
    expect(await refusal(archive)).toContain("unsupported type");
  });

  test("with a PAX size for all entries", async () => {
    const archive = concat(
      pax({ size: "1024" }, "g"),
      tarEntry({ name: "a", content: "x".repeat(1024) }),
      tarEntry({ name: "b", content: "x".repeat(1024) }),
      new Uint8Array(1024),
    );
    expect(await refusal(archive)).toContain("invalid size");
  });

  test("with a PAX record that isn't as long as it says", async () => {
    for (const content of ["9 a=b\n", "5 a=b\n", "a=b\n", "0 a=b\n", "-6 a=b\n", "6 a=b ", "6"]) {
      const header = tarEntry({ name: "PaxHeader", type: "x", content });
      const archive = concat(header, tarEntry({ name: "ok" }), new Uint8Array(1024));
      expect(await refusal(archive)).toContain("malformed PAX");
    }
  });

  test("with more than 1 MiB of metadata at an entry", async () => {
    const archives = [
      pax({ comment: "x".repeat(1024 * 1024) }),
      tarEntry({ name: "././@LongLink", type: "L", content: "x".repeat(1024 * 1024 + 1) }),
    ];
    for (const header of archives) {
      const archive = concat(header, tarEntry({ name: "x" }), new Uint8Array(1024));
      expect(await refusal(archive)).toContain("metadata");
    }
  });

  test("with more entries than allowed", async () => {
    const entries = Array.from({ length: 5 }, (_, i) => ({ name: `f${i}` }));
    expect(await refusal(tar(...entries), { maxArchiveEntries: 4 })).toContain(
      "more entries than the 4 that are allowed; if you trust it, raise --max-archive-entries",
    );
  });

  test("with more bytes than allowed, also by hard links", async () => {
    const big = { name: "big", content: "x".repeat(1000) };
    const links = ["l1", "l2"].map((name) => ({ name, type: "1", linkname: "big" }));
    const message = "more bytes than allowed; if you trust it, raise --max-unpacked-size";
    expect(await refusal(tar(big), { maxUnpackedSize: 999 })).toContain(message);
    expect(await refusal(tar(big, ...links), { maxUnpackedSize: 2999 })).toContain(message);
    await unpack(tar(big, ...links), { maxUnpackedSize: 3000 }).done;
  });

  test("with entries outside the folder in which they have to be", async () => {
    const within = (...entries: Entry[]) =>
      unpackBytes(tar(...entries), {
        kind: "archive",
        role: "content",
        compression: "none",
        within: "data/set",
      });
    const honest = [
      { name: "./", type: "5" },
      { name: "data/", type: "5" },
      { name: "data/set/", type: "5" },
      { name: "data/set/a", content: "1" },
    ];
    expect(await within(...honest).files()).toEqual({ "data/set/a": "1" });
    for (const name of ["b", "data/b", "data/setter", "data/set", "other/", "data/other/"]) {
      const type = name.endsWith("/") ? "5" : "0";
      const { message } = await failureOf(within({ name, type }).done, "content");
      expect(message).toContain('isn\'t in "data/set"');
    }
  });

  test("when it is cut, at any block", async () => {
    const whole = tar({ name: "a", content: "x".repeat(700) }, { name: "b", content: "y" });
    for (let length = 0; length < whole.byteLength - 512; length += 512) {
      await refusal(whole.subarray(0, length));
      await refusal(whole.subarray(0, length + 100));
    }
  });

  test("when a header's checksum is wrong", async () => {
    const bytes = tar(file);
    bytes[0] = 0x62;
    expect(await refusal(bytes)).toContain("the checksum of a header is wrong");
  });

  test("when it isn't an archive", async () => {
    await refusal(new TextEncoder().encode("<html>".repeat(1000)));
  });

  test("or unpacked within its directory, whatever bytes are changed", async () => {
    const whole = tar(
      { name: "sub/", type: "5" },
      { name: "sub/a", content: "12345" },
      { name: "b", type: "1", linkname: "sub/a" },
    );
    const change = fc.tuple(
      fc.nat(whole.byteLength - 1),
      fc.oneof(fc.nat(255), fc.constantFrom(...Buffer.from("./\\0123456LKxg"))),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(change, { minLength: 1, maxLength: 4 }), async (changes) => {
        const bytes = whole.slice();
        for (const [offset, value] of changes) bytes[offset] = value;
        for (let block = 0; block + 512 <= bytes.byteLength; block += 512) {
          // With the right checksum, what was changed is read.
          if (bytes[block + 257] === 0x75) fixChecksum(bytes.subarray(block));
        }
        const { place, done } = unpack(bytes);
        await done.catch((error: unknown) => failureOf(Promise.reject(error), "content"));
        expect(readdirSync(place).sort()).toEqual(["archive", "out"]);
      }),
      { numRuns: 300 },
    );
  });
});

test("an archive never writes over what is in the directory, nor through a link there", async () => {
  const place = temporaryDirectory();
  const out = join(place, "out");
  mkdirSync(out);
  writeFileSync(join(place, "secret"), "mine");
  symlinkSync("../secret", join(out, "0"));
  const bytes = tar({ name: "x", content: "evil" });
  writeFileSync(join(place, "archive"), bytes);
  const file = plannedArchive(bytes, { kind: "archive", role: "content", compression: "none" });
  const options = { limits: DEFAULT_LIMITS, maxBytes: 1000 };
  await expect(unpackLayer(file, join(place, "archive"), out, options)).rejects.toThrow("EEXIST");
  expect(readFileSync(join(place, "secret"), "utf8")).toBe("mine");
});
