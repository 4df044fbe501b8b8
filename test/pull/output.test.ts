import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { DOCKER_CONFIG_TAR, DOCKER_CONFIG_V01, DOCKER_LICENSE } from "../../src/model/docker.ts";
import { digestOf } from "../../src/oci/digest.ts";
import type { Reference } from "../../src/oci/reference.ts";
import type { Cache } from "../../src/pull/cache.ts";
import { type PullOptions, pull } from "../../src/pull/pull.ts";
import { push } from "../../src/pull/push.ts";
import { filepath } from "../model/fixtures.ts";
import { makeModel } from "../support/model.ts";
import { temporaryDirectory } from "../support/temp.ts";
import { failureOf, pushArtifact, startWorld, storedBlob, tree, type World } from "./fixtures.ts";
import { tar } from "./tar.ts";

let world: World;
let model: string;
let reference: Reference;
beforeAll(async () => {
  world = await startWorld();
  model = temporaryDirectory();
  await makeModel(model);
  reference = world.reference("user/model:v1");
  await push({ path: model, reference, client: world.client, format: "docker-v0.1" });
});
afterAll(() => world.registry.stop());

const pullTo = (output: string, options: Partial<PullOptions> & { cache?: Cache } = {}) =>
  pull({ reference, client: world.client, cache: world.newCache(), output, ...options });

/** What a directory shows: all but our own folder. */
function shown(directory: string): Record<string, string> {
  const files = Object.entries(tree(directory));
  return Object.fromEntries(files.filter(([path]) => !path.startsWith(".ocireg/")));
}

function licenses(...names: string[]) {
  const layers = names.map((name) => ({
    mediaType: DOCKER_LICENSE,
    content: `the text of ${name}`,
    annotations: filepath(name),
  }));
  return { layers, configType: DOCKER_CONFIG_V01 };
}

describe("--output", () => {
  test("makes the files in the directory, writable, and leaves the cache alone", async () => {
    const output = join(temporaryDirectory(), "new", "model");
    const cache = world.newCache();
    const result = await pullTo(output, { cache });
    expect(result.path).toBe(output);
    expect(shown(output)).toEqual(tree(model));
    expect(statSync(join(output, "model-00001-of-00002.safetensors")).mode & 0o777).toBe(0o644);
    expect(Object.keys(tree(join(output, ".ocireg")))).toEqual(["oci_metadata.json"]);
    expect(existsSync(cache.root)).toBe(false);
  });

  test("asks for the manifest alone the second time", async () => {
    const output = temporaryDirectory();
    await pullTo(output);
    world.requests.length = 0;
    await pullTo(output);
    expect(world.requests).toEqual(["GET manifests"]);
  });

  test("takes what the cache has", async () => {
    const cache = world.newCache();
    await pullTo(temporaryDirectory(), { cache });
    await pull({ reference, client: world.client, cache });
    world.requests.length = 0;
    const output = temporaryDirectory();
    await pullTo(output, { cache });
    expect(world.requests).toEqual(["GET manifests"]);
    expect(shown(output)).toEqual(tree(model));
  });

  test("works offline from the cache, and fails when that has nothing", async () => {
    const cache = world.newCache();
    await pull({ reference, client: world.client, cache });
    const output = temporaryDirectory();
    await pullTo(output, { cache, offline: true });
    expect(shown(output)).toEqual(tree(model));
    await failureOf(pullTo(temporaryDirectory(), { offline: true }), "offline");
  });

  test("shows nothing new after a failure, and the next pull goes on", async () => {
    const at = world.reference("user/flaky:v1");
    await pushArtifact(world, at, licenses("good", "bad"));
    const stored = storedBlob(world, digestOf("the text of bad"));
    chmodSync(stored, 0o644);
    writeFileSync(stored, "the text of BAD");
    const output = temporaryDirectory();
    writeFileSync(join(output, "mine.txt"), "was here before");
    await failureOf(pullTo(output, { reference: at }), "content");
    expect(Object.keys(shown(output))).toEqual(["mine.txt"]);

    writeFileSync(stored, "the text of bad");
    world.requests.length = 0;
    await pullTo(output, { reference: at });
    expect(Object.keys(shown(output))).toEqual(["bad", "good", "mine.txt"]);
    expect(world.requests.filter((request) => request === "GET blobs").length).toBeLessThan(3);
  });

  test("shows nothing new when an archive is hostile", async () => {
    const at = world.reference("user/hostile:v1");
    const { layers, configType } = licenses("LICENSE");
    const archive = { mediaType: DOCKER_CONFIG_TAR, content: tar({ name: "../evil" }) };
    await pushArtifact(world, at, { layers: [...layers, archive], configType });
    const output = join(temporaryDirectory(), "out");
    await failureOf(pullTo(output, { reference: at }), "content");
    expect(readdirSync(output)).toEqual([".ocireg"]);
    expect(readdirSync(join(output, ".."))).toEqual(["out"]);
  });

  test("replaces what an earlier pull placed, removes what is no longer there, keeps the rest", async () => {
    const at = world.reference("user/moving:v1");
    const output = temporaryDirectory();
    await pushArtifact(world, at, licenses("a", "sub/b", "c"));
    await pullTo(output, { reference: at });
    writeFileSync(join(output, "mine.txt"), "");
    await pushArtifact(world, at, {
      configType: DOCKER_CONFIG_V01,
      layers: [
        { mediaType: DOCKER_LICENSE, content: "new", annotations: filepath("a") },
        ...licenses("c", "d").layers,
      ],
    });
    world.requests.length = 0;
    await pullTo(output, { reference: at });
    expect(Object.keys(shown(output))).toEqual(["a", "c", "d", "mine.txt"]);
    expect(readFileSync(join(output, "a"), "utf8")).toBe("new");
    // The config, "a" and "d": "c" was there.
    expect(world.requests.filter((request) => request === "GET blobs")).toHaveLength(3);
  });

  test("doesn't replace a file that no pull placed", async () => {
    const output = temporaryDirectory();
    writeFileSync(join(output, "config.json"), "mine");
    const { message } = await failureOf(pullTo(output), "usage");
    expect(message).toContain("config.json");
    expect(readFileSync(join(output, "config.json"), "utf8")).toBe("mine");
    expect(Object.keys(shown(output))).toEqual(["config.json"]);
  });

  test("never writes or deletes through a symlink in the directory", async () => {
    const at = world.reference("user/linked:v1");
    await pushArtifact(world, at, licenses("sub/a", "b"));
    const elsewhere = temporaryDirectory();
    const output = temporaryDirectory();
    symlinkSync(elsewhere, join(output, "sub"));
    await failureOf(pullTo(output, { reference: at }), "usage");
    expect(readdirSync(elsewhere)).toEqual([]);

    rmSync(join(output, "sub"));
    await pullTo(output, { reference: at });
    rmSync(join(output, "sub"), { recursive: true });
    writeFileSync(join(elsewhere, "a"), "the text of sub/a");
    symlinkSync(elsewhere, join(output, "sub"));
    await pushArtifact(world, at, licenses("b"));
    await pullTo(output, { reference: at });
    expect(readdirSync(elsewhere)).toEqual(["a"]);
  });

  test.each([".ocireg", ".ocireg/blobs", ".ocireg/partial"])(
    "touches nothing behind a symlink in the place of %s",
    async (place) => {
      const elsewhere = temporaryDirectory();
      mkdirSync(join(elsewhere, "blobs"));
      writeFileSync(join(elsewhere, "blobs", "mine"), "");
      const output = temporaryDirectory();
      mkdirSync(join(output, place, ".."), { recursive: true });
      symlinkSync(elsewhere, join(output, place));
      const { message } = await failureOf(pullTo(output), "disk");
      expect(message).toContain(JSON.stringify(join(output, place)));
      expect(Object.keys(tree(elsewhere))).toEqual(["blobs/mine"]);
    },
  );

  test("fetches a file anew where there is only a symlink to what it held", async () => {
    const at = world.reference("user/moved-away:v1");
    await pushArtifact(world, at, licenses("a", "b"));
    const output = temporaryDirectory();
    await pullTo(output, { reference: at });
    const elsewhere = join(temporaryDirectory(), "a");
    renameSync(join(output, "a"), elsewhere);
    chmodSync(elsewhere, 0o600);
    symlinkSync(elsewhere, join(output, "a"));
    await pushArtifact(world, at, licenses("a", "c"));
    await pullTo(output, { reference: at });
    expect(lstatSync(join(output, "a")).isFile()).toBe(true);
    expect(lstatSync(elsewhere).mode & 0o777).toBe(0o600);
  });

  test("fetches again with --verify what was changed", async () => {
    const output = temporaryDirectory();
    await pullTo(output);
    const file = join(output, "model-00001-of-00002.safetensors");
    const bytes = readFileSync(file);
    bytes[1000] = (bytes[1000] ?? 0) ^ 1;
    writeFileSync(file, bytes);
    await pullTo(output, { verify: true });
    expect(shown(output)).toEqual(tree(model));
  });

  test("writes one content under two names", async () => {
    const at = world.reference("user/twice:v1");
    const content = "one text";
    const layers = ["x", "deep/er/y"].map((name) => ({
      mediaType: DOCKER_LICENSE,
      content,
      annotations: filepath(name),
    }));
    await pushArtifact(world, at, { layers, configType: DOCKER_CONFIG_V01 });
    const output = temporaryDirectory();
    await pullTo(output, { reference: at });
    expect(Object.keys(shown(output))).toEqual(["deep/er/y", "x"]);
  });

  test("that is a file is refused", async () => {
    const output = join(temporaryDirectory(), "file");
    writeFileSync(output, "");
    await failureOf(pullTo(output), "disk");
  });
});
