import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { DOCKER_CONFIG_V01, DOCKER_LICENSE } from "../../src/model/docker.ts";
import { type Digest, digestOf, encodedOf } from "../../src/oci/digest.ts";
import type { Cache } from "../../src/pull/cache.ts";
import { readContents } from "../../src/pull/contents.ts";
import { holding } from "../../src/pull/hold.ts";
import { pull } from "../../src/pull/pull.ts";
import { removeFromCache } from "../../src/pull/remove.ts";
import { temporaryDirectory } from "../support/temp.ts";
import { failureOf, pushArtifact, startWorld, tree, type World } from "./fixtures.ts";

let world: World;
beforeAll(async () => {
  world = await startWorld();
});
afterAll(() => world.registry.stop());

/** Pulls a model whose layers are these licences. */
async function pulled(cache: Cache, tag: string, ...contents: string[]) {
  const reference = world.reference(`user/removed:${tag}`);
  const layers = contents.map((content, index) => ({
    mediaType: DOCKER_LICENSE,
    content,
    annotations: { "org.cncf.model.filepath": `${index}.txt` },
  }));
  await pushArtifact(world, reference, { layers, configType: DOCKER_CONFIG_V01 });
  return pull({ reference, client: world.client, cache });
}

const blobsOf = (cache: Cache) => readdirSync(join(cache.root, "blobs/sha256")).sort();
const hexes = (...contents: string[]) => contents.map((text) => encodedOf(digestOf(text))).sort();
const refer = (tag: string) => `${world.registry.host}/user/removed:${tag}`;

describe("removing a reference from the cache", () => {
  test("takes its view and the blobs that no other view uses, and frees them", async () => {
    const cache = world.newCache();
    const one = await pulled(cache, "one", "shared", "own ".repeat(3000));
    const two = await pulled(cache, "two", "shared", "other");
    const swept = await removeFromCache({ cache, words: [refer("one")] });
    expect(swept).toEqual({
      references: [one.reference],
      views: [one.digest],
      blobs: [digestOf("own ".repeat(3000))],
      unfinished: 0,
      freed: expect.any(Number),
      kept: [],
    });
    expect(swept.freed).toBeGreaterThanOrEqual(12_000);
    expect(existsSync(one.path)).toBe(false);
    expect(blobsOf(cache)).toEqual(hexes("{}", "shared", "other"));
    expect(readFileSync(join(two.path, "0.txt"), "utf8")).toBe("shared");
    expect(readdirSync(cache.blobs.partial)).toEqual([]);
    expect(readdirSync(join(cache.root, "references"))).toHaveLength(1);
    expect(await pulled(cache, "one", "shared", "own ".repeat(3000))).toEqual(one);
  });

  test("leaves a view that another reference names", async () => {
    const cache = world.newCache();
    const one = await pulled(cache, "same-1", "the same");
    await pulled(cache, "same-2", "the same");
    const swept = await removeFromCache({ cache, words: [refer("same-1")] });
    expect(swept).toMatchObject({ references: [one.reference], views: [], blobs: [] });
    expect(existsSync(one.path)).toBe(true);
    const { views } = await readContents(cache);
    expect(views[0]?.names.map(({ reference }) => reference)).toEqual([refer("same-2")]);
  });

  test("by digest, or its beginning, takes all that lead to it", async () => {
    const cache = world.newCache();
    const { digest } = await pulled(cache, "by-1", "by digest");
    await pulled(cache, "by-2", "by digest");
    const swept = await removeFromCache({ cache, words: [digest.slice(0, 19)] });
    expect(swept.references).toHaveLength(2);
    expect((await readContents(cache)).views).toEqual([]);
    expect(readdirSync(cache.root).sort()).toEqual(["blobs", "partial", "references", "views"]);
  });

  test("removes nothing when one of several isn't there", async () => {
    const cache = world.newCache();
    await pulled(cache, "there", "there");
    const before = tree(cache.root);
    const words = [refer("there"), refer("nowhere")];
    const { message } = await failureOf(removeFromCache({ cache, words }), "not-found");
    expect(message).toContain("nowhere");
    await failureOf(removeFromCache({ cache, words: ["sha256:00000000"] }), "not-found");
    expect(tree(cache.root)).toEqual(before);
  });

  test("tells what it would do, and does nothing", async () => {
    const cache = world.newCache();
    const { digest } = await pulled(cache, "dry", "dry run");
    const before = tree(cache.root);
    const swept = await removeFromCache({ cache, words: [refer("dry")], dryRun: true });
    expect(swept).toMatchObject({ views: [digest], freed: "dry run".length + 2 });
    expect(tree(cache.root)).toEqual(before);
  });

  test("leaves what a running pull needs", async () => {
    const cache = world.newCache();
    const { digest, path } = await pulled(cache, "held", "held", "not held");
    const held = [digest, digestOf("held")] as Digest[];
    await holding(cache.blobs.partial, held, async () => {
      const swept = await removeFromCache({ cache, words: [refer("held")] });
      expect(swept).toMatchObject({ views: [], kept: [digest] });
    });
    expect(existsSync(path)).toBe(true);
    expect(blobsOf(cache)).toEqual(hexes("{}", "held", "not held"));
  });

  test("leaves the files that a process has open", async () => {
    const cache = world.newCache();
    const { path } = await pulled(cache, "open", "open file");
    const reader = Bun.spawn(["sh", "-c", `exec 3<"${path}/0.txt"; echo ready; read go; cat <&3`], {
      stdin: "pipe",
      stdout: "pipe",
    });
    const output = reader.stdout.getReader();
    await output.read();
    await removeFromCache({ cache, words: [refer("open")] });
    reader.stdin.write("go\n");
    await reader.stdin.end();
    const { value } = await output.read();
    expect(Buffer.from(value ?? []).toString()).toBe("open file");
    expect(await reader.exited).toBe(0);
  });

  test("doesn't free what an output directory shares", async () => {
    const cache = world.newCache();
    const content = "shared with an output directory ".repeat(1000);
    const { reference } = await pulled(cache, "output", content);
    const blob = statSync(cache.blobs.path(digestOf(content)));
    const output = temporaryDirectory();
    await pull({
      reference: world.reference("user/removed:output"),
      client: world.client,
      cache,
      output,
    });
    const isShared = statSync(join(output, "0.txt")).ino === blob.ino;
    const { freed } = await removeFromCache({ cache, words: [reference] });
    if (isShared) expect(freed).toBeLessThan(content.length);
    expect(readFileSync(join(output, "0.txt"), "utf8")).toBe(content);
  });
});

describe("a cache that someone else wrote", () => {
  test.each(["views", "blobs", "blobs/sha256", "partial", "references"])(
    "isn't left through a symlink in place of %s",
    async (part) => {
      const cache = world.newCache();
      const { reference } = await pulled(cache, "hostile", "hostile");
      const elsewhere = join(temporaryDirectory(), "elsewhere");
      renameSync(join(cache.root, part), elsewhere);
      symlinkSync(elsewhere, join(cache.root, part));
      const before = tree(elsewhere);
      await removeFromCache({ cache, words: [reference] }).catch((error) => {
        expect(error).toMatchObject({ kind: "disk" });
      });
      expect(tree(elsewhere)).toEqual(before);
    },
  );

  test("loses a view that is a symlink, and not what it leads to", async () => {
    const cache = world.newCache();
    await pulled(cache, "decoy", "decoy");
    const precious = temporaryDirectory();
    writeFileSync(join(precious, "thesis.txt"), "precious");
    mkdirSync(join(precious, "model"));
    const digest = digestOf("no manifest");
    symlinkSync(precious, cache.viewPath(digest));
    symlinkSync(
      precious,
      join(
        cache.viewPath(
          (await readContents(cache)).views.find((view) => view.names.length > 0)?.digest ?? digest,
        ),
        "model",
        "link",
      ),
    );
    const swept = await removeFromCache({ cache, words: [digest, refer("decoy")] });
    expect(swept.views).toHaveLength(2);
    expect(existsSync(cache.viewPath(digest))).toBe(false);
    expect(readFileSync(join(precious, "thesis.txt"), "utf8")).toBe("precious");
  });

  test("has no names but those that pull gives", async () => {
    const cache = world.newCache();
    const { digest } = await pulled(cache, "names", "names");
    const references = join(cache.root, "references");
    for (const text of ["../../../etc", "docker.io/a/b:c\u001b[2J", "x"]) {
      symlinkSync(text, join(references, `name-${digestOf(text).slice(7, 15)}`));
    }
    symlinkSync("/etc", join(cache.root, "docker.io_a_b_c"));
    symlinkSync("docker.io/a/b:c", join(references, "docker.io_a_b_c"));
    const { names } = await readContents(cache);
    expect(names.map(({ digest: of, reference }) => [of, reference]).sort()).toEqual(
      [
        [digest, refer("names")],
        [undefined, "docker.io/a/b:c"],
      ].sort(),
    );
    await removeFromCache({ cache, words: ["a/b:c"] });
    expect(existsSync("/etc/passwd")).toBe(true);
  });

  test("has small files or none", async () => {
    const cache = world.newCache();
    const { digest, path } = await pulled(cache, "pipe", "pipe");
    const record = join(path, "..", "oci_metadata.json");
    renameSync(record, `${record}.away`);
    Bun.spawnSync(["mkfifo", record]);
    const { views } = await readContents(cache);
    expect(views.map((view) => [view.digest, view.record, view.complete])).toEqual([
      [digest, undefined, false],
    ]);
  });
});
