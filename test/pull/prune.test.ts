import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, mkdirSync, readdirSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { DOCKER_CONFIG_V01, DOCKER_LICENSE } from "../../src/model/docker.ts";
import { digestOf, encodedOf } from "../../src/oci/digest.ts";
import type { Cache } from "../../src/pull/cache.ts";
import { readContents } from "../../src/pull/contents.ts";
import { holding } from "../../src/pull/hold.ts";
import { pruneCache } from "../../src/pull/prune.ts";
import { pull } from "../../src/pull/pull.ts";
import { failureOf, pushArtifact, startWorld, tree, type World } from "./fixtures.ts";

let world: World;
beforeAll(async () => {
  world = await startWorld();
});
afterAll(() => world.registry.stop());

const HOUR = 3_600_000;
const DAY = 24 * HOUR;

async function pulled(cache: Cache, tag: string, content: string) {
  const reference = world.reference(`user/pruned:${tag}`);
  const layers = [{ mediaType: DOCKER_LICENSE, content }];
  await pushArtifact(world, reference, { layers, configType: DOCKER_CONFIG_V01 });
  return pull({ reference, client: world.client, cache });
}

function age(path: string, milliseconds: number): void {
  const then = new Date(Date.now() - milliseconds);
  utimesSync(path, then, then);
}

const lastUse = (path: string) => join(path, "..", "oci_metadata.json");
const sizeOf = async (cache: Cache) => (await readContents(cache)).size;

describe("pruning the cache", () => {
  test("leaves what has a name, and what is young", async () => {
    const cache = world.newCache();
    age(lastUse((await pulled(cache, "moved", "old")).path), 30 * DAY);
    await pulled(cache, "moved", "new");
    age(lastUse((await pulled(cache, "kept", "kept")).path), 30 * DAY);
    writeFileSync(cache.blobs.path(digestOf("orphan")), "orphan");
    const swept = await pruneCache({ cache });
    expect(swept.views).toHaveLength(1);
    expect(swept.references).toEqual([]);
    expect(existsSync(cache.blobs.path(digestOf("old")))).toBe(false);
    for (const content of ["new", "kept", "orphan"]) {
      expect(existsSync(cache.blobs.path(digestOf(content)))).toBe(true);
    }
  });

  test("takes orphaned blobs and abandoned downloads, but not of a living owner", async () => {
    const cache = world.newCache();
    await pulled(cache, "base", "base");
    const orphan = cache.blobs.path(digestOf("orphan"));
    writeFileSync(orphan, "orphan");
    age(orphan, 2 * HOUR);
    const put = (name: string, hours: number) => {
      const path = join(cache.blobs.partial, name);
      writeFileSync(path, "x".repeat(10_000));
      age(path, hours * HOUR);
    };
    const [dead, alive] = ["a", "b"].map((letter) => `sha256-${letter.repeat(64)}`);
    put(`${dead}.0123456789abcdef`, 2);
    put(`${dead}.lease`, 3);
    put(`${alive}.0123456789abcdef`, 2);
    put(`${alive}.lease`, 0);
    mkdirSync(join(cache.blobs.partial, "trash.0123456789abcdef/0"), { recursive: true });
    for (const path of ["trash.0123456789abcdef/0", "trash.0123456789abcdef"]) {
      age(join(cache.blobs.partial, path), 2 * HOUR);
    }
    const swept = await pruneCache({ cache });
    expect(swept).toMatchObject({ blobs: [digestOf("orphan")], unfinished: 2 });
    expect(swept.freed).toBeGreaterThan(20_000);
    expect(await pruneCache({ cache, olderThan: 0 })).toMatchObject({ unfinished: 0 });
    expect(readdirSync(cache.blobs.partial).sort()).toEqual([
      `${alive}.0123456789abcdef`,
      `${alive}.lease`,
    ]);
  });

  test("takes what wasn't pulled for long, and a pull counts as use", async () => {
    const cache = world.newCache();
    const used = await pulled(cache, "used", "used");
    const unused = await pulled(cache, "unused", "unused");
    for (const { path } of [used, unused]) age(lastUse(path), 10 * DAY);
    await pull({ reference: world.reference("user/pruned:used"), client: world.client, cache });
    const swept = await pruneCache({ cache, olderThan: 7 * DAY });
    expect(swept).toMatchObject({ references: [unused.reference], views: [unused.digest] });
    expect(existsSync(used.path)).toBe(true);
  });

  test("takes the least recently used until the rest fits", async () => {
    const cache = world.newCache();
    for (const [days, tag] of [
      [1, "newest"],
      [3, "oldest"],
      [2, "middle"],
    ] as const) {
      age(lastUse((await pulled(cache, tag, tag.repeat(1000))).path), days * DAY);
    }
    const keepSize = (await sizeOf(cache)) - 6001;
    const dry = await pruneCache({ cache, keepSize, dryRun: true });
    const swept = await pruneCache({ cache, keepSize });
    expect(swept.references.map((name) => name.slice(name.lastIndexOf(":") + 1))).toEqual([
      "oldest",
      "middle",
    ]);
    expect(dry.views).toEqual(swept.views);
    expect(await sizeOf(cache)).toBeLessThanOrEqual(keepSize);
    expect(await pruneCache({ cache, keepSize })).toMatchObject({ views: [], freed: 0 });
  });

  test("leaves what a running pull needs, and what a dry run tells", async () => {
    const cache = world.newCache();
    const { digest } = await pulled(cache, "held", "held");
    await holding(cache.blobs.partial, [digest, digestOf("held")], async () => {
      const swept = await pruneCache({ cache, olderThan: 0, keepSize: 0 });
      expect(swept.views).toEqual([]);
    });
    const before = tree(cache.root);
    expect(await pruneCache({ cache, olderThan: 0, dryRun: true })).toMatchObject({
      views: [digest],
    });
    expect(tree(cache.root)).toEqual(before);
    await pruneCache({ cache, olderThan: 0 });
    expect(tree(cache.root)).toEqual({});
  });

  test("of a cache that isn't there makes none", async () => {
    const cache = world.newCache();
    expect(await pruneCache({ cache, olderThan: 0 })).toMatchObject({ freed: 0 });
    expect(existsSync(cache.root)).toBe(false);
  });

  test("knows a view by its digest alone", async () => {
    const cache = world.newCache();
    const { digest } = await pulled(cache, "strange", "strange");
    for (const name of ["not-a-digest", `sha256-${"g".repeat(64)}`, "..x"]) {
      mkdirSync(join(cache.root, "views", name));
      age(join(cache.root, "views", name), 30 * DAY);
    }
    writeFileSync(join(cache.root, "blobs", "README"), "no directory");
    const { views } = await readContents(cache);
    expect(views.map((view) => view.digest)).toEqual([digest]);
    await pruneCache({ cache, olderThan: 7 * DAY });
    expect(readdirSync(join(cache.root, "views"))).toContain("not-a-digest");
    expect(encodedOf(digest)).toHaveLength(64);
  });

  test("says what is in the way", async () => {
    const cache = world.newCache();
    const { path } = await pulled(cache, "obstacle", "obstacle");
    age(lastUse(path), 30 * DAY);
    Bun.spawnSync([
      "sh",
      "-c",
      `mv "${cache.root}/views" "${cache.root}/elsewhere" && ln -s elsewhere "${cache.root}/views"`,
    ]);
    const { message } = await failureOf(pruneCache({ cache, olderThan: DAY }), "disk");
    expect(message).toContain("views");
  });
});
