import { describe, expect, test } from "bun:test";
import type { RangeReader } from "../../src/pull/range-reader.ts";
import { listTar } from "../../src/pull/tar-listing.ts";
import { failureOf } from "./fixtures.ts";
import { concat, type Entry, pax, tar, tarEntry } from "./tar.ts";

/** Content in memory, and how much of it was read. */
function counted(bytes: Uint8Array): RangeReader & { read: RangeReader["read"]; count: number } {
  const reader = {
    size: bytes.byteLength,
    count: 0,
    async read(start: number, end: number) {
      const part = bytes.subarray(start, end);
      reader.count += part.byteLength;
      return part;
    },
  };
  return reader;
}

const end = new Uint8Array(1024);
const list = (archive: Uint8Array) => listTar(counted(archive), "the layer x");
const paths = async (archive: Uint8Array) => (await list(archive))?.map(({ path }) => path);

describe("listing an archive", () => {
  test("finds each file with its size and content", async () => {
    const files = await list(
      tar({ name: "a", content: "one" }, { name: "sub", type: "5" }, { name: "sub/b" }),
    );
    expect(files?.map(({ path, size }) => [path, size])).toEqual([
      ["a", 3],
      ["sub/b", 0],
    ]);
    const [first] = files ?? [];
    expect(new TextDecoder().decode(await first?.content.read(0, 100))).toBe("one");
    expect(new TextDecoder().decode(await first?.content.read(1, 2))).toBe("n");
  });

  test("reads the headers and skips what lies between them", async () => {
    const big = new Uint8Array(5_000_000);
    const archive = counted(
      tar({ name: "a", content: big }, { name: "b", content: big }, { name: "c", content: "x" }),
    );
    expect((await listTar(archive, "x"))?.length).toBe(3);
    expect(archive.count).toBeLessThan(100_000);
  });

  test("reads names and sizes of PAX headers, and long names of GNU's", async () => {
    const long = `${"d".repeat(120)}/name`;
    const records = { path: long, size: "3" };
    const entry = tarEntry({ name: "cut", content: "abc", size: "00000000000\0" });
    expect(await list(concat(pax(records), entry, end))).toMatchObject([{ path: long, size: 3 }]);
    const gnu = tarEntry({ name: "././@LongLink", type: "L", content: `${long}\0` });
    expect(await paths(concat(gnu, tarEntry({ name: "cut" }), end))).toEqual([long]);
    // One header is for one entry, and one of all entries gives none a name.
    expect(
      await paths(
        concat(
          pax({ path: "everywhere" }, "g"),
          pax({ path: "a" }),
          tarEntry({ name: "x" }),
          tarEntry({ name: "b" }),
          end,
        ),
      ),
    ).toEqual(["a", "b"]);
  });

  test("leaves symlinks and devices to who unpacks it", async () => {
    const entries: Entry[] = [
      { name: "link", type: "2", linkname: "a" },
      { name: "device", type: "3" },
      { name: "a" },
      { name: "lost", type: "1", linkname: "nowhere" },
    ];
    expect(await paths(tar(...entries))).toEqual(["a"]);
  });

  test("takes a hard link for the file that it leads to", async () => {
    const files = await list(
      tar({ name: "a", content: "one" }, { name: "b", type: "1", linkname: "a" }),
    );
    expect(files?.map(({ path, size }) => [path, size])).toEqual([
      ["a", 3],
      ["b", 3],
    ]);
    expect(new TextDecoder().decode(await files?.[1]?.content.read(0, 3))).toBe("one");
  });

  test("of no entries, or without its end, is what there is", async () => {
    expect(await paths(end)).toEqual([]);
    expect(await paths(tarEntry({ name: "a", content: "x" }))).toEqual(["a"]);
  });

  test("gives up beyond two thousand entries", async () => {
    const many = Array.from({ length: 2002 }, (_, i) => ({ name: `${i}` }));
    expect(await list(tar(...many))).toBeUndefined();
  });

  test.each([
    ["a path that leads outside", tar({ name: "../a" })],
    ["an absolute path", tar({ name: "/a" })],
    ["two names that differ in case", tar({ name: "a" }, { name: "A" })],
    ["content beyond its end", tarEntry({ name: "a", size: "77777777777\0" })],
    ["a size that is none", tar({ name: "a", size: "12x45678901\0" })],
    ["a header that is cut", tarEntry({ name: "a" }).subarray(0, 300)],
    ["no headers at all", new Uint8Array(2048).fill(65)],
    ["a malformed PAX header", concat(tarEntry({ name: "p", type: "x", content: "9 a\n" }), end)],
    ["an invalid size in a PAX header", concat(pax({ size: "-1" }), tarEntry({ name: "a" }), end)],
  ])("refuses %s", async (_title, archive) => {
    await failureOf(list(archive), "content");
  });
});
