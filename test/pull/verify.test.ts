import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import {
  chmodSync,
  existsSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import type { Reference } from "../../src/oci/reference.ts";
import type { Cache } from "../../src/pull/cache.ts";
import { readContents } from "../../src/pull/contents.ts";
import type { TransferEvent } from "../../src/pull/events.ts";
import { pull } from "../../src/pull/pull.ts";
import { push } from "../../src/pull/push.ts";
import { verifyCache } from "../../src/pull/verify.ts";
import { makeModel } from "../support/model.ts";
import { temporaryDirectory } from "../support/temp.ts";
import { failureOf, startWorld, tree, type World } from "./fixtures.ts";

let world: World;
let model: string;
let reference: Reference;
beforeAll(async () => {
  world = await startWorld();
  model = temporaryDirectory();
  await makeModel(model, { shards: 2 });
  reference = world.reference("user/verified:v1");
  await push({ path: model, reference, client: world.client, format: "docker-v0.1" });
});
afterAll(() => world.registry.stop());

const pullInto = (cache: Cache) => pull({ reference, client: world.client, cache });
async function verify(cache: Cache, onEvent?: (event: TransferEvent) => void) {
  const { blobs, views } = await readContents(cache);
  return verifyCache({
    cache,
    blobs: [...blobs.keys()],
    views: views.map(({ digest }) => digest),
    onEvent,
  });
}

/** Changes a byte of a file, for all of its names. */
function damage(path: string): void {
  const bytes = readFileSync(path);
  bytes[bytes.length >> 1] = (bytes[bytes.length >> 1] ?? 0) ^ 1;
  chmodSync(path, 0o644);
  writeFileSync(path, bytes);
}

describe("verifying the cache", () => {
  test("finds nothing where nothing is wrong, and reads each file once", async () => {
    const cache = world.newCache();
    const { path } = await pullInto(cache);
    const before = tree(cache.root);
    const events: TransferEvent[] = [];
    const { right, bytes, damaged } = await verify(cache, (event) => events.push(event));
    expect(damaged).toEqual([]);
    expect(right).toBeGreaterThanOrEqual(Object.keys(tree(path)).length);
    expect(events.at(0)).toEqual({ type: "start", check: true, completed: 0, total: bytes });
    expect(events.at(-1)).toEqual({ type: "done", completed: bytes, total: bytes });
    expect(tree(cache.root)).toEqual(before);
  });

  test.each([
    ["a shard", "model/model-00001-of-00002.safetensors"],
    ["an unpacked file", "model/config.json"],
    ["a file of the configuration", "config/config.json"],
    ["the manifest", "manifest.json"],
  ])("removes %s that was damaged, and the next pull puts it back", async (_, file) => {
    const cache = world.newCache();
    const { path } = await pullInto(cache);
    const view = join(path, "..");
    const before = tree(cache.root);
    damage(join(view, file));
    const { damaged } = await verify(cache);
    expect(damaged).toContain(`views/${view.split("/").at(-1)}/${file}`);
    expect((await readContents(cache)).views[0]?.complete).toBe(false);
    await pullInto(cache);
    expect(tree(cache.root)).toEqual(before);
    expect((await verify(cache)).damaged).toEqual([]);
  });

  test("removes a damaged layer", async () => {
    const cache = world.newCache();
    const { path } = await pullInto(cache);
    const before = tree(cache.root);
    const layers = join(path, "../layers");
    const [layer] = Object.keys(tree(layers));
    damage(join(layers, layer ?? ""));
    await verify(cache);
    expect(existsSync(join(layers, layer ?? ""))).toBe(false);
    await pullInto(cache);
    expect(tree(cache.root)).toEqual(before);
  });

  test("reads only what is named", async () => {
    const cache = world.newCache();
    const { path } = await pullInto(cache);
    damage(join(path, "config.json"));
    expect((await verifyCache({ cache, blobs: [], views: [] })).damaged).toEqual([]);
  });

  test("removes what is no file, and a view that leads out of the cache, but nothing behind it", async () => {
    const cache = world.newCache();
    const { path, digest } = await pullInto(cache);
    const elsewhere = join(temporaryDirectory(), "elsewhere");
    renameSync(path, elsewhere);
    symlinkSync(elsewhere, path);
    const before = tree(elsewhere);
    damage(join(elsewhere, "config.json"));
    const blob = [...(await readContents(cache)).blobs.keys()][0] ?? digest;
    rmSync(cache.blobs.path(blob));
    symlinkSync("/etc/passwd", cache.blobs.path(blob));
    const { damaged } = await verify(cache);
    expect(damaged).toEqual([
      `blobs/${blob.replace(":", "/")}`,
      `views/${digest.replace(":", "-")}`,
    ]);
    expect(Object.keys(tree(elsewhere))).toEqual(Object.keys(before));
    expect(existsSync("/etc/passwd")).toBe(true);
    await pullInto(cache);
    expect(tree(path)).toEqual(tree(model));
  });

  test("doesn't work on directories that lead out of the cache", async () => {
    for (const part of ["views", "blobs/sha256"]) {
      const cache = world.newCache();
      await pullInto(cache);
      const elsewhere = join(temporaryDirectory(), "elsewhere");
      renameSync(join(cache.root, part), elsewhere);
      symlinkSync(elsewhere, join(cache.root, part));
      await failureOf(verify(cache), "disk");
    }
  });
});
