/** Layers of container images: image-spec, layer.md, and the rules of what a model may have of it. */
import { describe, expect, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { checkedFilePath } from "../../../src/model/path.ts";
import { digestOf } from "../../../src/oci/digest.ts";
import { type ImageFile, imageFiles } from "../../../src/pull/unpack/image-tree.ts";
import type { ImageEntry } from "../../../src/pull/unpack/layer.ts";
import { failureOf } from "../fixtures.ts";
import { concat, type Entry, pax, tar, tarEntry } from "../tar.ts";
import { unpackBytes } from "./fixtures.ts";

/** What an image of these layers, the lowest first, has in `models/`. */
async function show(...layers: (readonly Entry[] | Uint8Array)[]): Promise<Record<string, string>> {
  return contents(await list(layers));
}

async function list(
  layers: readonly (readonly Entry[] | Uint8Array)[],
  maxFiles = 1000,
): Promise<ImageFile[]> {
  const unpacked = [];
  for (const [index, layer] of layers.entries()) {
    const bytes = layer instanceof Uint8Array ? layer : tar(...layer);
    const { place, out, done } = unpackBytes(bytes, { kind: "image-layer", compression: "none" });
    try {
      unpacked.push({ entries: await done, directory: out, source: `layer ${index}` });
    } finally {
      expect(readdirSync(place).sort()).toEqual(["archive", "out"]);
    }
  }
  return imageFiles(unpacked, maxFiles);
}

function contents(files: readonly ImageFile[]): Record<string, string> {
  const named = files.map(({ path, directory, number }): [string, string] => [
    path,
    readFileSync(join(directory, String(number)), "utf8"),
  ]);
  return Object.fromEntries(named.sort(([a], [b]) => (a < b ? -1 : 1)));
}

async function refusal(...layers: (readonly Entry[])[]): Promise<string> {
  return (await failureOf(show(...layers), "content")).message;
}

const file = (name: string, content = name): Entry => ({ name, content });
const folder = (name: string): Entry => ({ name, type: "5" });
const symlink = (name: string, linkname: string): Entry => ({ name, type: "2", linkname });
const hardlink = (name: string, linkname: string): Entry => ({ name, type: "1", linkname });

describe("the model in an image", () => {
  test("is what lies in models/, and nothing else is written", async () => {
    const layer = tar(
      file("etc/passwd"),
      file("bin\\odd"),
      { name: "dev/null", type: "3" },
      symlink("sbin", "usr/sbin"),
      file("modelsx/a"),
      folder("models/"),
      file("models/config.json", "{}"),
      file("models/sub/x", "1"),
    );
    const { out, done } = unpackBytes(layer, { kind: "image-layer", compression: "none" });
    await done;
    expect(readdirSync(out).sort()).toEqual(["0", "1"]);
    expect(await show(layer)).toEqual({ "config.json": "{}", "sub/x": "1" });
  });

  test("is found under ./models and /models too", async () => {
    expect(await show([folder("./"), file("./models/a"), file("/models/b")])).toEqual({
      a: "./models/a",
      b: "/models/b",
    });
  });

  test("comes from layers that are applied bottom up", async () => {
    expect(
      await show(
        [folder("models/"), file("models/a", "1"), file("models/sub/b", "1")],
        [
          folder("models/"),
          file("models/a", "2"),
          folder("models/sub/"),
          file("models/sub/c", "2"),
        ],
      ),
    ).toEqual({ a: "2", "sub/b": "1", "sub/c": "2" });
  });

  test("has in place of a folder the file of a later layer, and the other way round", async () => {
    expect(
      await show(
        [file("models/folder/x"), file("models/file"), symlink("models/link", "file")],
        [
          file("models/folder", "1"),
          folder("models/file/"),
          file("models/file/y", "2"),
          folder("models/link/"),
          file("models/link/z", "3"),
        ],
      ),
    ).toEqual({ folder: "1", "file/y": "2", "link/z": "3" });
  });

  test("has no files without models/", async () => {
    for (const entries of [[file("a")], [folder("models/")], [symlink("models", "etc")], []]) {
      expect(await refusal(entries)).toContain("no files in /models");
    }
  });
});

describe("a whiteout", () => {
  test("takes away a file or a folder of the layers below", async () => {
    expect(
      await show(
        [file("models/a"), file("models/sub/b"), file("models/keep", "k")],
        [file("models/.wh.a", ""), file("models/.wh.sub", "")],
      ),
    ).toEqual({ keep: "k" });
  });

  test("leaves what its own layer has, wherever in it that stands", async () => {
    const whiteout = file("models/.wh.a", "");
    for (const layer of [
      [whiteout, file("models/a", "new")],
      [file("models/a", "new"), whiteout],
    ]) {
      expect(await show([file("models/a", "old")], layer)).toEqual({ a: "new" });
    }
  });

  test("of a whole folder hides its lower siblings, wherever it stands", async () => {
    const opaque = file("models/sub/.wh..wh..opq", "");
    for (const layer of [
      [opaque, file("models/sub/b", "new")],
      [file("models/sub/b", "new"), opaque],
    ]) {
      expect(await show([file("models/sub/a"), file("models/x", "x")], layer)).toEqual({
        "sub/b": "new",
        x: "x",
      });
    }
  });

  test("of models/, or of everything, counts", async () => {
    const lower = [file("models/a")];
    expect(await show(lower, [file(".wh.models", ""), file("models/b", "b")])).toEqual({ b: "b" });
    expect(await show(lower, [file(".wh..wh..opq", ""), file("models/b", "b")])).toEqual({
      b: "b",
    });
    expect(await refusal(lower, [file(".wh.models", "")])).toContain("no files");
  });

  test("of something that isn't there, or elsewhere, changes nothing", async () => {
    const upper = [
      file("models/.wh.b", ""),
      file("models/no/.wh.x", ""),
      file("etc/.wh.models", ""),
      file("models/.wh..wh.plnk", ""),
    ];
    expect(await show([file("models/a", "a")], upper)).toEqual({ a: "a" });
  });

  test("reaches nothing through a link", async () => {
    const lower = [file("models/real/a", "a"), symlink("models/link", "real")];
    expect(await show(lower, [file("models/link/.wh.a", "")])).toEqual({
      "link/a": "a",
      "real/a": "a",
    });
  });

  test("of nothing is refused", async () => {
    for (const name of ["models/.wh.", ".wh.", "models/.wh..", "models/.wh..."]) {
      expect(await refusal([file("models/a")], [file(name, "")])).toContain("whiteout of nothing");
    }
  });
});

describe("a link in an image", () => {
  test("to a file is another name of its content", async () => {
    const layer = [
      symlink("models/model.file", "weights/x.gguf"),
      file("models/weights/x.gguf", "x"),
      symlink("models/weights/absolute", "/models/weights/x.gguf"),
      symlink("models/weights/around", "../../../models/./weights/x.gguf"),
      symlink("models/chain", "model.file"),
      hardlink("models/hard", "models/weights/x.gguf"),
      hardlink("models/rooted", "/models/hard"),
    ];
    const files = await list([layer]);
    const names = ["chain", "hard", "model.file", "rooted"];
    const inside = ["absolute", "around", "x.gguf"].map((name) => `weights/${name}`);
    expect(Object.keys(contents(files))).toEqual([...names, ...inside]);
    expect(new Set(files.map(({ number }) => number)).size).toBe(1);
  });

  test("to a folder shows the files in it, and the links", async () => {
    expect(
      await show([
        file("models/blobs/1", "one"),
        symlink("models/snapshots/abc/config.json", "../../blobs/1"),
        symlink("models/current", "snapshots/abc"),
      ]),
    ).toEqual({
      "blobs/1": "one",
      "current/config.json": "one",
      "snapshots/abc/config.json": "one",
    });
  });

  test("leads to what the topmost layer has", async () => {
    expect(
      await show(
        [file("models/a", "1"), symlink("models/link", "a")],
        [file("models/a", "2"), hardlink("models/hard", "models/a")],
        [file("models/a", "3")],
      ),
    ).toEqual({ a: "3", hard: "2", link: "3" });
  });

  test("as a hard link may lead to a file of a lower layer", async () => {
    expect(await show([file("models/a", "1")], [hardlink("models/b", "models/a")])).toEqual({
      a: "1",
      b: "1",
    });
  });

  test("to nothing is left out", async () => {
    const links = [symlink("models/dangling", "no/such"), symlink("models/below", "a/x")];
    expect(await show([file("models/a", "a"), ...links])).toEqual({ a: "a" });
  });

  test.each<[string, Entry[], string]>([
    ["out of models/", [symlink("models/l", "../etc/passwd")], "leads out of models/"],
    ["to the outside by an absolute path", [symlink("models/l", "/etc/passwd")], "leads out"],
    ["to the image's root", [symlink("models/l", "/")], "leads out"],
    ["to above the image's root", [symlink("models/l", "../../../../x")], "leads out"],
    ["to itself", [symlink("models/l", "l")], "in a circle"],
    ["to its folder", [symlink("models/sub/l", "..")], "in a circle"],
    ["further than 4096 characters", [], "5000 characters"],
    ["as a hard link to the outside", [hardlink("models/l", "etc/passwd")], "no file in models/"],
    ["as a hard link that climbs", [hardlink("models/l", "models/../etc/x")], '".." component'],
    ["as a hard link to nothing", [hardlink("models/l", "models/no")], "no file in models/"],
    [
      "as a hard link to a folder",
      [folder("models/d"), hardlink("models/l", "models/d")],
      "no file",
    ],
    [
      "as a hard link to a link",
      [symlink("models/s", "a"), hardlink("models/l", "models/s")],
      "no",
    ],
  ])("isn't followed %s", async (_, entries, message) => {
    if (entries.length > 0) {
      expect(await refusal([file("models/a", "a"), ...entries])).toContain(message);
      return;
    }
    const linkpath = "a/".repeat(2500);
    const layer = concat(
      pax({ linkpath }),
      tarEntry(symlink("models/l", "x")),
      new Uint8Array(1024),
    );
    expect((await failureOf(show(layer), "content")).message).toContain(message);
  });

  test("is never written through", async () => {
    const link = symlink("models/link", "real");
    const below = file("models/link/x");
    expect(await refusal([file("models/real/a"), link], [below])).toContain("is a symlink");
    expect(await refusal([file("models/a")], [file("models/a/b")])).toContain("is a file");
    expect(await refusal([file("models/real/a"), link, below])).toContain("collides");
  });

  test("that lengthens paths is bounded", async () => {
    const chain = (length: number) => [
      ...Array.from({ length }, (_, i) => symlink(`models/d${i}/x`, `../d${i + 1}`)),
      file(`models/d${length}/file`, "f"),
    ];
    expect(Object.keys(await show(chain(3)))).toContain("d0/x/x/x/file");
    expect(await refusal(chain(200))).toContain("deeper than 32 components");
  });

  test("that goes a long way is followed in time that grows with its length", () => {
    const folders = Array.from({ length: 30 }, (_, depth) => `${"d".repeat(29)}${depth % 10}`);
    const folder = `models/${folders.join("/")}`;
    const digest = digestOf("");
    const target = `${`../${folders.at(-1)}/`.repeat(120)}file`;
    const entries: ImageEntry[] = [
      { kind: "file", path: `${folder}/file`, number: 0, size: 0, digest },
      ...Array.from({ length: 60_000 }, (_, i): ImageEntry => {
        return { kind: "symlink", path: `${folder}/link${i}`, target };
      }),
    ];
    const layer = { entries, directory: "", source: "the layer" };
    expect(imageFiles([layer], 1_000_000)).toHaveLength(60_001);
  });

  test("that multiplies what is there is bounded", async () => {
    const layer = Array.from({ length: 20 }, (_, i) => [
      symlink(`models/d${i}/a`, `../d${i + 1}`),
      symlink(`models/d${i}/b`, `../d${i + 1}`),
    ]).flat();
    const end = file("models/d20/x");
    const { message } = await failureOf(list([[...layer, end]], 500), "content");
    expect(message).toContain("more than 500 files; if you trust it, raise --max-archive-entries");
  });
});

describe("a layer of an image is refused", () => {
  test.each<[string, Entry[]]>([
    ["a path that climbs", [file("models/../evil")]],
    ["a path that climbs back into models/", [file("etc/../models/evil")]],
    ["a backslash", [file("models/a\\b")]],
    ["an empty part of a name", [file("models//a")]],
    ["a drive", [file("models/C:/x")]],
    ["a control character", [file("models/a\x01b")]],
    ["bytes that aren't UTF-8", [{ name: "", rawName: Buffer.from("models/a\xff", "latin1") }]],
    ["too deep a path", [file(`models/${"a/".repeat(40)}b`)]],
    ["our own folder", [file("models/.ocireg/x")]],
    ["the same file twice", [file("models/a"), file("models/a")]],
    ["a file that is a folder too", [file("models/a"), file("models/a/b")]],
    ["files that differ by case", [file("models/a"), file("models/A")]],
    ["a sparse file", [{ name: "models/a", type: "S" }]],
  ])("with %s in models/", async (_, entries) => {
    expect(await refusal([file("models/x"), ...entries])).toContain("refused");
  });

  test("with names and links that no file has, of which only their memory would be left", async () => {
    const long = "x".repeat(5000);
    const layer = (records: Record<string, string>, entry: Entry) =>
      concat(tarEntry(file("models/a", "a")), pax(records), tarEntry(entry), new Uint8Array(1024));
    const refuses = async (bytes: Uint8Array) => (await failureOf(show(bytes), "content")).message;
    const whiteout = file("models/.wh.b", "");
    expect(await refuses(layer({ path: `models/.wh.${long}` }, whiteout))).toContain("1024 bytes");
    const link = hardlink("models/b", "models/a");
    expect(await refuses(layer({ linkpath: long }, link))).toContain("5000 characters");
    // The rest of the image isn't the model's.
    expect(await show(layer({ path: `.wh.${long}` }, file(".wh.b", "")))).toEqual({ a: "a" });
  });

  test("but devices, FIFOs and sockets in models/ are left out", async () => {
    const devices = ["3", "4", "6"].map((type) => ({ name: `models/dev${type}`, type }));
    expect(await show([...devices, file("models/a", "a")])).toEqual({ a: "a" });
  });
});

describe("whatever entries an image has", () => {
  /** Mostly the first, so that most layers have something that is right. */
  const seldom = <T>(often: readonly T[], rarely: readonly T[]) =>
    fc.oneof(
      { weight: 40, arbitrary: fc.constantFrom(...often) },
      { weight: 1, arbitrary: fc.constantFrom(...rarely) },
    );
  const name = seldom(["a", "b", "c", "d", ".wh.a"], ["A", ".wh..wh..opq", ".wh.", "..", ".", ""]);
  const path = fc
    .tuple(
      seldom(["models"], ["./models", "/models", "etc", "", ".."]),
      fc.array(name, { minLength: 1, maxLength: 3 }),
    )
    .map(([root, names]) => [root, ...names].join("/"));
  const linkname = fc.oneof(path, name);
  const entry = fc.record({ name: path, type: seldom(["0", "2", "5"], ["1", "3", "Z"]), linkname });
  const layers = fc.array(fc.array(entry, { maxLength: 5 }), {
    minLength: 1,
    maxLength: 3,
  });

  test("its files have safe paths, each once, or it is refused", async () => {
    let shown = 0;
    const check = async (images: readonly Entry[][]) => {
      const files = await list(images).catch(async (error: unknown) => {
        await failureOf(Promise.reject(error), "content");
        return [];
      });
      const paths = files.map((found) => checkedFilePath(found.path, "the image"));
      expect(new Set(paths).size).toBe(paths.length);
      if (files.length > 0) shown++;
    };
    await fc.assert(fc.asyncProperty(layers, check), { numRuns: 400 });
    // Else it would check nothing.
    expect(shown).toBeGreaterThan(10);
  });
});
