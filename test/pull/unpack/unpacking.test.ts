import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync, zstdCompressSync } from "node:zlib";
import { DOCKER_CONFIG_TAR, DOCKER_CONFIG_V01, DOCKER_LICENSE } from "../../../src/model/docker.ts";
import type { PlannedFile } from "../../../src/model/planned-file.ts";
import { digestOf, encodedOf } from "../../../src/oci/digest.ts";
import { formatReference, parseReference, type Reference } from "../../../src/oci/reference.ts";
import { BlobDirectory } from "../../../src/pull/blobs.ts";
import { type PullOptions, pull } from "../../../src/pull/pull.ts";
import { UnpackedLayers } from "../../../src/pull/unpack/layers.ts";
import { Unpacking, type UnpackingOptions } from "../../../src/pull/unpack/unpacking.ts";
import { filepath } from "../../model/fixtures.ts";
import { startSlowProxy } from "../../support/slow-proxy.ts";
import { temporaryDirectory } from "../../support/temp.ts";
import { failureOf, pushArtifact, startWorld, tree, treeIfThere, type World } from "../fixtures.ts";
import { type Entry, tar } from "../tar.ts";
import { plannedArchive } from "./fixtures.ts";

const never = new AbortController().signal;

/** Blobs in a directory, with a place where they are unpacked. */
class Place {
  readonly blobs = new BlobDirectory(temporaryDirectory());
  readonly root = join(temporaryDirectory(), "unpacked");
  private runs = 0;

  async planned(bytes: Uint8Array, target: Parameters<typeof plannedArchive>[1]) {
    const file = plannedArchive(bytes, target);
    const path = join(this.blobs.root, "new");
    writeFileSync(path, bytes);
    await this.blobs.adopt(file.descriptor.digest, path);
    return file;
  }

  /** As a run of the program does. */
  unpacking(files: readonly PlannedFile[], options?: UnpackingOptions): Unpacking {
    const layers = new UnpackedLayers(this.root, join(this.blobs.root, `run${++this.runs}`));
    return new Unpacking(files, this.blobs, layers, options);
  }
}

async function receiveAll(unpacking: Unpacking, files: readonly PlannedFile[]): Promise<void> {
  await Promise.all(files.map(({ descriptor }) => unpacking.receive(descriptor, never)));
}

describe("the archives of an artifact", () => {
  const content = (text: string, path = "a") => tar({ name: path, content: text });

  test("of any compression give their files, with where they came from", async () => {
    const place = new Place();
    const files = [
      await place.planned(content("1", "config.json"), {
        kind: "archive",
        role: "config",
        compression: "none",
      }),
      await place.planned(new Uint8Array(gzipSync(content("2", "b/c"))), {
        kind: "archive",
        role: "content",
        compression: "gzip",
      }),
      await place.planned(new Uint8Array(zstdCompressSync(content("3", "models/d"))), {
        kind: "image-layer",
        compression: "zstd",
      }),
    ];
    const unpacking = place.unpacking(files);
    expect(await unpacking.resume()).toEqual(files);
    // In whatever order they come.
    await receiveAll(unpacking, files.toReversed());
    const found = unpacking.modelFiles();
    expect(found.map(({ path, origin }) => [path, origin])).toEqual([
      ["config.json", "config-archive"],
      ["b/c", "archive"],
      ["d", "archive"],
    ]);
    expect(found.map(({ source }) => readFileSync(source, "utf8"))).toEqual(["1", "2", "3"]);
  });

  test("may have no more entries together than one alone, also when one counts many times", async () => {
    const limits = { maxArchiveEntries: 3 };
    const archive = async (target: PlannedFile["target"] & { kind: "archive" }) =>
      place.planned(tar({ name: "a" }, { name: "b" }), target);
    const place = new Place();
    const plain = { kind: "archive", role: "content", compression: "none" } as const;
    const alone = await archive(plain);
    await receiveAll(place.unpacking([alone], { limits }), [alone]);
    const other = await archive({ ...plain, into: "c" });
    for (const files of [
      [alone, other],
      Array<PlannedFile>(10_000)
        .fill(alone)
        .map((file) => ({ ...file })),
    ]) {
      const { message } = await failureOf(
        receiveAll(place.unpacking(files, { limits }), [alone]),
        "content",
      );
      expect(message).toContain("more entries than the 3 that are allowed");
      expect(message).toContain(alone.descriptor.digest);
    }
  });

  test("as layers of an image count in their order, one that comes twice too", async () => {
    const place = new Place();
    const layer = (...entries: Entry[]) =>
      place.planned(tar(...entries), { kind: "image-layer", compression: "none" });
    const a = await layer({ name: "models/a", content: "1" });
    const b = await layer({ name: "models/.wh.a" }, { name: "models/b", content: "2" });
    const paths = async (...files: PlannedFile[]) => {
      const unpacking = place.unpacking(files);
      await receiveAll(unpacking, [a, b]);
      return unpacking.modelFiles().map(({ path }) => path);
    };
    expect(await paths(a, b)).toEqual(["b"]);
    expect(await paths({ ...b }, { ...a })).toEqual(["b", "a"]);
    expect(await paths(a, b, { ...a })).toEqual(["b", "a"]);
  });

  test("are unpacked once, and found again by the next run", async () => {
    const place = new Place();
    const target = { kind: "archive", role: "content", compression: "none" } as const;
    const files = [await place.planned(content("1"), target)];
    await receiveAll(place.unpacking(files), files);
    expect(readdirSync(place.blobs.root)).toEqual(["blobs"]);
    rmSync(place.blobs.path(files[0]?.descriptor.digest ?? digestOf("")));

    const next = place.unpacking(files);
    expect(await next.resume()).toEqual([]);
    expect(next.modelFiles().map(({ path }) => path)).toEqual(["a"]);
    // To be unpacked in another way is something else.
    const within = files.map((file) => ({ ...file, target: { ...target, within: "a" } }));
    expect(await place.unpacking(within).resume()).toEqual(within);
  });

  test("may be known by their content alone, and are found again by the next run", async () => {
    const place = new Place();
    const archive = await place.planned(content("1"), {
      kind: "archive",
      role: "content",
      compression: "none",
    });
    const files: PlannedFile[] = [{ ...archive, target: { kind: "unnamed" } }];
    const first = place.unpacking(files);
    expect(await first.resume()).toEqual(files);
    await receiveAll(first, files);
    expect(first.recognised).toEqual([archive]);
    rmSync(place.blobs.path(archive.descriptor.digest));

    const next = place.unpacking(files);
    expect(await next.resume()).toEqual([]);
    expect(next.recognised).toEqual([archive]);
    expect(next.modelFiles().map(({ path }) => path)).toEqual(["a"]);
  });

  test("may begin at a folder, though not too deep in it", async () => {
    const place = new Place();
    const target = { kind: "archive", role: "content", compression: "none" } as const;
    const file = await place.planned(content("1", "b/c"), target);
    const paths = async (into: string) => {
      const files = [{ ...file, target: { ...target, into } }];
      const unpacking = place.unpacking(files);
      await receiveAll(unpacking, files);
      return unpacking.modelFiles().map(({ path }) => path);
    };
    expect(await paths("models/tiny")).toEqual(["models/tiny/b/c"]);
    await failureOf(paths(Array.from({ length: 31 }, () => "a").join("/")), "content");
  });

  test("may be single files", async () => {
    const place = new Place();
    const bytes = new Uint8Array(gzipSync("a,b\n"));
    const file = await place.planned(bytes, {
      kind: "file",
      path: "data/a.csv",
      compression: "gzip",
    });
    const unpacking = place.unpacking([{ ...file, diffId: digestOf("a,b\n") }]);
    await receiveAll(unpacking, [file]);
    expect(unpacking.modelFiles()).toMatchObject([
      { path: "data/a.csv", size: 4, digest: digestOf("a,b\n"), origin: "archive" },
    ]);
    const wrong = place.unpacking([{ ...file, diffId: digestOf("x") }]);
    const { message } = await failureOf(receiveAll(wrong, [file]), "content");
    expect(message).toContain(digestOf("x"));
    const bomb = place.unpacking([file], { limits: { maxUnpackedSize: 3 } });
    await failureOf(receiveAll(bomb, [file]), "content");
  });

  test("are unpacked again when what an earlier run left isn't whole", async () => {
    const target = { kind: "archive", role: "content", compression: "none" } as const;
    for (const damage of [
      (directory: string) => rmSync(join(directory, "0")),
      (directory: string) => writeFileSync(join(directory, "0"), ""),
      (directory: string) => rmSync(join(directory, "entries.json")),
      (directory: string) => writeFileSync(join(directory, "entries.json"), "{"),
      (directory: string) => writeFileSync(join(directory, "entries.json"), '[{"kind":"file"}]'),
      (directory: string) => {
        const entry = { kind: "file", path: "../evil", number: 0, size: 1, digest: digestOf("1") };
        writeFileSync(join(directory, "entries.json"), JSON.stringify([entry]));
      },
    ]) {
      const place = new Place();
      const files = [await place.planned(content("1"), target)];
      await receiveAll(place.unpacking(files), files);
      damage(join(place.root, readdirSync(place.root)[0] ?? ""));
      const next = place.unpacking(files);
      expect(await next.resume()).toEqual(files);
      await receiveAll(next, files);
      expect(next.modelFiles().map(({ path, size }) => [path, size])).toEqual([["a", 1]]);
      expect(readdirSync(place.root)).toHaveLength(1);
    }
  });

  test("together may have no more bytes than allowed", async () => {
    const place = new Place();
    const target = { kind: "archive", role: "content", compression: "none" } as const;
    const files = [
      await place.planned(content("x".repeat(600), "a"), target),
      await place.planned(content("y".repeat(600), "b"), target),
    ];
    await receiveAll(place.unpacking(files, { limits: { maxUnpackedSize: 1200 } }), files);
    rmSync(place.root, { recursive: true });
    const unpacking = place.unpacking(files, { limits: { maxUnpackedSize: 1199 } });
    await failureOf(receiveAll(unpacking, files), "content");
  });

  test("count the links of an image as copies", async () => {
    const place = new Place();
    const links = ["b", "c"].map((name) => ({ name: `models/${name}`, type: "2", linkname: "a" }));
    const layer = tar({ name: "models/a", content: "x".repeat(600) }, ...links);
    const files = [await place.planned(layer, { kind: "image-layer", compression: "none" })];
    const unpacking = place.unpacking(files, { limits: { maxUnpackedSize: 1799 } });
    await receiveAll(unpacking, files);
    expect(() => unpacking.modelFiles()).toThrow("--max-unpacked-size");
  });

  test("tell when nothing needs their blob any more", async () => {
    const place = new Place();
    const target = { kind: "archive", role: "content", compression: "none" } as const;
    const alone = await place.planned(content("1", "a"), target);
    const shown = await place.planned(content("2", "b"), target);
    const asItIs = { ...shown, target: { kind: "file", path: "b.tar" } } as const;
    const told: string[] = [];
    const onUnpacked = async (digest: string) => void told.push(digest);
    const files = [alone, shown, asItIs];
    await receiveAll(place.unpacking(files, { onUnpacked }), [alone, shown]);
    expect(told).toEqual([alone.descriptor.digest]);
  });
});

/** What is below a directory; nothing while it comes or goes. */
function paths(directory: string): string[] {
  try {
    return readdirSync(directory, { recursive: true, encoding: "utf8" });
  } catch {
    return [];
  }
}

describe("a pull", () => {
  let world: World;
  let reference: Reference;
  const archive = tar({ name: "config.json", content: "{}" });
  const weights = new Uint8Array(6 * 1024 * 1024).fill(7);
  beforeAll(async () => {
    world = await startWorld();
    reference = world.reference("user/model:v1");
    await pushArtifact(world, reference, {
      configType: DOCKER_CONFIG_V01,
      layers: [
        { mediaType: DOCKER_LICENSE, content: weights, annotations: filepath("weights.bin") },
        { mediaType: DOCKER_CONFIG_TAR, content: archive },
      ],
    });
  });
  afterAll(() => world.registry.stop());

  const blobIn = (root: string, bytes: Uint8Array) =>
    join(root, "blobs/sha256", encodedOf(digestOf(bytes)));
  const pullTo = (options: Partial<PullOptions>) =>
    pull({ reference, client: world.client, cache: world.newCache(), ...options });

  /** Pulls over a slow link until `isReached`, and interrupts it. */
  async function interruptedPull(
    options: Partial<PullOptions>,
    isReached: () => boolean,
  ): Promise<void> {
    using slow = startSlowProxy(world.registry.url, 512 * 1024);
    const interruption = new AbortController();
    const pulling = pullTo({
      ...options,
      reference: parseReference(`${slow.host}/user/model:v1`),
      signal: interruption.signal,
    });
    let isOver = false;
    pulling
      .catch(() => {})
      .finally(() => {
        isOver = true;
      });
    while (!isReached() && !isOver) await Bun.sleep(5);
    expect(isOver).toBe(false);
    interruption.abort(new Error("interrupted"));
    await expect(pulling).rejects.toThrow("interrupted");
  }

  test("unpacks an archive while other blobs still come", async () => {
    const cache = world.newCache();
    const unpacked = () =>
      Object.keys(treeIfThere(cache.blobs.partial)).some((path) => path.endsWith("/entries.json"));
    await interruptedPull({ cache }, unpacked);
    expect(existsSync(blobIn(cache.root, weights))).toBe(false);
    // The archive stays in the cache; what it unpacked to went with the process that did it.
    expect(existsSync(blobIn(cache.root, archive))).toBe(true);
    expect(unpacked()).toBe(false);
    const { path } = await pullTo({ cache });
    expect(Object.keys(tree(path)).sort()).toEqual(["config.json", "weights.bin"]);
    expect(readdirSync(cache.blobs.partial)).toEqual([]);
  });

  test("into a directory keeps no archive beside its content, and goes on from that", async () => {
    const output = temporaryDirectory();
    const own = join(output, ".ocireg");
    const isUnpacked = () =>
      Object.keys(treeIfThere(join(own, "unpacked"))).length > 0 &&
      !existsSync(blobIn(own, archive));
    await interruptedPull({ output }, isUnpacked);
    expect(readdirSync(output)).toEqual([".ocireg"]);
    expect(existsSync(blobIn(own, weights))).toBe(false);

    const fetched: string[] = [];
    await pullTo({
      output,
      onEvent: (event) => {
        if (event.type === "verified" && event.digest) fetched.push(event.digest);
      },
    });
    expect(fetched).toEqual([digestOf(weights)]);
    expect(readdirSync(output).sort()).toEqual([".ocireg", "config.json", "weights.bin"]);
    expect(Object.keys(tree(own))).toEqual(["oci_metadata.json"]);
    expect(readFileSync(join(output, "config.json"), "utf8")).toBe("{}");
  });

  test("ends as soon as an archive is hostile, and leaves nothing of it", async () => {
    const hostile = world.reference("user/hostile:v1");
    await pushArtifact(world, hostile, {
      configType: DOCKER_CONFIG_V01,
      layers: [
        { mediaType: DOCKER_LICENSE, content: weights, annotations: filepath("weights.bin") },
        { mediaType: DOCKER_CONFIG_TAR, content: tar({ name: "../evil" }) },
      ],
    });
    using slow = startSlowProxy(world.registry.url, 512 * 1024);
    const at = parseReference(`${slow.host}/user/hostile:v1`);
    const cache = world.newCache();
    await failureOf(pullTo({ cache, reference: at }), "content");
    expect(existsSync(blobIn(cache.root, weights))).toBe(false);
    expect(existsSync(join(cache.root, "views"))).toBe(false);
    const left = readdirSync(cache.blobs.partial);
    expect(left.filter((name) => !name.startsWith("sha256-"))).toEqual([]);

    const output = temporaryDirectory();
    await failureOf(pullTo({ output, reference: at }), "content");
    expect(readdirSync(output)).toEqual([".ocireg"]);
    expect(existsSync(join(output, ".ocireg/unpacked"))).toBe(false);
  });

  test.each(["cache", "directory"])(
    "that is killed while it unpacks into a %s leaves nothing",
    async (where) => {
      const large = world.reference("user/large:v1");
      // Every file is synced, so that there is time to kill.
      const names = Array.from({ length: 2000 }, (_, index) => `vocab/${index}.txt`);
      const content = tar(...names.map((name) => ({ name, content: name })));
      await pushArtifact(world, large, {
        configType: DOCKER_CONFIG_V01,
        layers: [{ mediaType: DOCKER_CONFIG_TAR, content }],
      });
      const cache = world.newCache();
      const output = where === "directory" ? temporaryDirectory() : undefined;
      const own = output === undefined ? cache.root : join(output, ".ocireg");
      const program = join(import.meta.dir, "../pull-process.ts");
      const words = [formatReference(large), cache.root, ...(output === undefined ? [] : [output])];
      const child = Bun.spawn([process.execPath, program, ...words], { stderr: "inherit" });
      const partial = join(own, "partial");
      const isUnpacking = () => paths(partial).some((path) => /layer\..*\/0$/.test(path));
      while (!isUnpacking() && child.exitCode === null) await Bun.sleep(1);
      child.kill("SIGKILL");
      await child.exited;
      expect(child.signalCode).toBe("SIGKILL");
      expect(existsSync(join(cache.root, "views"))).toBe(false);
      if (output) expect(readdirSync(output)).toEqual([".ocireg"]);

      world.requests.length = 0;
      const { path } = await pullTo({ reference: large, cache, output });
      expect(readdirSync(join(path, "vocab"))).toHaveLength(names.length);
      expect(readdirSync(partial)).toEqual([]);
      expect(world.requests.filter((request) => request === "GET blobs")).toEqual([]);
    },
  );

  test("takes the limits that it is given", async () => {
    const limits = { maxArchiveEntries: 0 };
    const { message } = await failureOf(pullTo({ limits }), "content");
    expect(message).toContain("--max-archive-entries");
  });

  test("unpacks from the cache without a network", async () => {
    const cache = world.newCache();
    const { path } = await pullTo({ cache });
    rmSync(path, { recursive: true });
    expect((await pullTo({ cache, offline: true })).path).toBe(path);
    expect(readFileSync(join(path, "config.json"), "utf8")).toBe("{}");
  });
});
