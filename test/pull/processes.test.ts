import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { digestOf } from "../../src/oci/digest.ts";
import { formatReference, type Reference } from "../../src/oci/reference.ts";
import type { Cache } from "../../src/pull/cache.ts";
import type { EventListener } from "../../src/pull/events.ts";
import { pull } from "../../src/pull/pull.ts";
import { push } from "../../src/pull/push.ts";
import { makeModel } from "../support/model.ts";
import { runChecked } from "../support/programs.ts";
import { temporaryDirectory } from "../support/temp.ts";
import { startWorld, tree, treeIfThere, type World } from "./fixtures.ts";

let world: World;
let model: string;
let reference: Reference;
beforeAll(async () => {
  world = await startWorld();
  model = temporaryDirectory();
  await makeModel(model, { shards: 2, bytesPerShard: 32 * 1024 * 1024 });
  reference = world.reference("user/shared:v1");
  await push({ path: model, reference, client: world.client, format: "docker-v0.1" });
});
afterAll(() => world.registry.stop());

const command = (cache: Cache) => [
  process.execPath,
  join(import.meta.dir, "pull-process.ts"),
  formatReference(reference),
  cache.root,
];

describe("several processes over one cache", () => {
  test("pull the same model at once: each ends right, and each byte is fetched once", async () => {
    const cache = world.newCache();
    world.sent.bytes = 0;
    const paths = await Promise.all([1, 2, 3].map(() => runChecked(command(cache))));
    expect(new Set(paths).size).toBe(1);
    expect(tree(paths[0] ?? "")).toEqual(tree(model));
    expect(readdirSync(cache.blobs.partial)).toEqual([]);
    const directory = join(cache.root, "blobs/sha256");
    const sizes = readdirSync(directory).map((name) => statSync(join(directory, name)).size);
    expect(world.sent.bytes).toBe(sizes.reduce((sum, size) => sum + size, 0));
  });

  test("one that is killed leaves nothing under a final name, and the next takes over", async () => {
    const cache = world.newCache();
    const child = Bun.spawn(command(cache), { stdout: "ignore", stderr: "ignore" });
    const isWriting = () =>
      existsSync(cache.blobs.partial) &&
      readdirSync(cache.blobs.partial).some((name) =>
        /^sha256-[a-f0-9]{64}\.[a-f0-9]{16}$/.test(name),
      );
    while (!isWriting() && child.exitCode === null) await Bun.sleep(1);
    child.kill("SIGKILL");
    await child.exited;

    for (const path of Object.keys(treeIfThere(join(cache.root, "blobs/sha256")))) {
      expect(digestOf(readFileSync(join(cache.root, "blobs/sha256", path)))).toEndWith(path);
    }
    const { path } = await pull({ reference, client: world.client, cache });
    expect(tree(path)).toEqual(tree(model));
    expect(readdirSync(cache.blobs.partial)).toEqual([]);
  }, 60_000);

  test("that wait for another say so", async () => {
    const cache = world.newCache();
    const heard: string[][] = [[], []];
    await Promise.all(
      heard.map((types) => {
        const onEvent: EventListener = ({ type }) => types.push(type);
        return pull({ reference, client: world.client, cache, onEvent });
      }),
    );
    const waiting = heard.map((types) => types.includes("waiting"));
    expect(waiting).toContain(true);
    expect(heard.map((types) => types.at(-1))).toEqual(["done", "done"]);
  });

  test("pull into the same directory at once", async () => {
    const output = temporaryDirectory();
    const into = () => pull({ reference, client: world.client, cache: world.newCache(), output });
    await Promise.all([into(), into()]);
    const shown = Object.entries(tree(output)).filter(([path]) => !path.startsWith(".ocireg/"));
    expect(Object.fromEntries(shown)).toEqual(tree(model));
  });
});
