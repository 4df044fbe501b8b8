import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import {
  DOCKER_CONFIG_TAR,
  DOCKER_CONFIG_V01,
  DOCKER_DIRECTORY_TAR,
  DOCKER_GGUF,
  DOCKER_LICENSE,
  DOCKER_SAFETENSORS,
} from "../../src/model/docker.ts";
import type { PlannedFile, Target } from "../../src/model/planned-file.ts";
import { digestOf } from "../../src/oci/digest.ts";
import type { Reference } from "../../src/oci/reference.ts";
import { type PullOptions, pull } from "../../src/pull/pull.ts";
import { type Globs, selectFiles } from "../../src/pull/select.ts";
import { filepath, ggufFile, tensorFile } from "../model/fixtures.ts";
import { temporaryDirectory } from "../support/temp.ts";
import { failureOf, pushArtifact, startWorld, tree, type World } from "./fixtures.ts";
import { tar } from "./tar.ts";

const TAR = "application/vnd.docker.ai.vllm.config.tar";
const RAW = "application/vnd.docker.ai.model.file";

function planned(name: string, mediaType: string, target: Target): PlannedFile {
  return { descriptor: { mediaType, digest: digestOf(name), size: 1 }, target };
}
const file = (path: string, mediaType = RAW) => planned(path, mediaType, { kind: "file", path });
const shard = (name: string) =>
  planned(name, "application/vnd.docker.ai.safetensors", {
    kind: "shard",
    encoding: "safetensors",
  });
const archive = (name: string) =>
  planned(name, TAR, { kind: "archive", role: "config", compression: "none" });

/** What of the files is selected, archives with those of their files that are wanted. */
function chosen(
  files: readonly PlannedFile[],
  globs: Globs,
  names: ReadonlyMap<PlannedFile, readonly string[]> = new Map(),
): (string | string[])[] {
  const selection = selectFiles(files, globs, (entry) => names.get(entry));
  return selection.files.map(({ target, only }) =>
    target.kind === "file" ? target.path : only ? [...only] : target.kind,
  );
}

describe("globs", () => {
  const files = [file("config.json"), file("original/params.json"), file("model.gguf")];

  test("without a slash look at names, those with one at paths", () => {
    expect(chosen(files, { include: ["*.json"] })).toEqual(["config.json", "original/params.json"]);
    expect(chosen(files, { include: ["original/*"] })).toEqual(["original/params.json"]);
    expect(chosen(files, { exclude: ["*/*"] })).toEqual(["config.json", "model.gguf"]);
  });

  test("to exclude win over those to include", () => {
    expect(chosen(files, { include: ["*.json"], exclude: ["config.*"] })).toEqual([
      "original/params.json",
    ]);
  });

  test("look at media types too, where they begin with one", () => {
    const weights = file("w.gguf", "application/vnd.docker.ai.gguf.v3");
    expect(chosen([...files, weights], { include: ["application/vnd.docker.ai.gguf*"] })).toEqual([
      "w.gguf",
    ]);
    expect(chosen([...files, weights], { exclude: [RAW] })).toEqual(["w.gguf"]);
  });
});

describe("an archive", () => {
  const config = archive("config");
  const names = new Map([[config, ["config.json", "vocab.txt"]]]);

  test("gives the files that are wanted, and isn't fetched when none is", () => {
    expect(chosen([config], { include: ["config.json"] }, names)).toEqual([["config.json"]]);
    expect(chosen([config], { exclude: ["*.safetensors"] }, names)).toEqual(["archive"]);
    expect(chosen([config], { include: ["*.gguf"] }, names)).toEqual([]);
  });

  test("that nobody can look into comes whole, unless its media type says otherwise", () => {
    expect(chosen([config], { include: ["config.json"] })).toEqual(["archive"]);
    expect(chosen([config], { include: ["application/*.gguf*"] })).toEqual([]);
    expect(chosen([config], { include: [TAR] })).toEqual(["archive"]);
    expect(chosen([config], { exclude: ["application/*tar"] })).toEqual([]);
  });
});

describe("shards", () => {
  const shards = [shard("one"), shard("two")];
  const paths = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"];
  const names = new Map(shards.map((entry, i) => [entry, [paths[i] ?? ""]] as const));

  test("are chosen by the names that their headers tell", () => {
    expect(chosen(shards, { include: ["model-00002*"] }, names)).toEqual([paths[1] ?? ""]);
  });

  test("stay shards when all are taken and none has an index, which is then written", () => {
    expect(chosen(shards, { exclude: ["*.md"] }, names)).toEqual(["shard", "shard"]);
  });

  test("have their names when an index gave them", () => {
    const config = archive("config");
    const all = new Map([...names, [config, ["model.safetensors.index.json"]] as const]);
    expect(chosen([...shards, config], { include: ["*.safetensors"] }, all)).toEqual(paths);
  });

  test("that can't be told yet come with the index that will name them", () => {
    const config = archive("config");
    const known = new Map([[config, ["config.json", "model.safetensors.index.json"]]]);
    expect(chosen([...shards, config], { include: ["*.safetensors"] }, known)).toEqual([
      "shard",
      "shard",
      ["model.safetensors.index.json"],
    ]);
  });
});

describe("a pull with --include", () => {
  let world: World;
  let reference: Reference;
  const weights = [tensorFile({ a: 20_000 }), tensorFile({ b: 30_000 })];
  const index = JSON.stringify({
    weight_map: { a: "model-00002-of-00002.safetensors", b: "model-00001-of-00002.safetensors" },
  });
  beforeAll(async () => {
    world = await startWorld();
    reference = world.reference("user/unnamed:v1");
    await pushArtifact(world, reference, {
      configType: DOCKER_CONFIG_V01,
      layers: [
        ...weights.map((content) => ({ mediaType: DOCKER_SAFETENSORS, content })),
        {
          mediaType: DOCKER_CONFIG_TAR,
          content: tar(
            { name: "config.json", content: "{}" },
            { name: "model.safetensors.index.json", content: index },
            { name: "tokenizer.json", content: "x".repeat(100_000) },
          ),
        },
        {
          mediaType: DOCKER_DIRECTORY_TAR,
          content: tar({ name: "big/data.bin", content: "y".repeat(3_000_000) }),
        },
        { mediaType: DOCKER_LICENSE, content: "MIT", annotations: filepath("LICENSE") },
      ],
    });
  });
  afterAll(() => world.registry.stop());

  const pullTo = (options: Partial<PullOptions>) =>
    pull({ reference, client: world.client, cache: world.newCache(), ...options });
  const sentBy = async (options: Partial<PullOptions>) => {
    const before = world.sent.bytes;
    const { path } = await pullTo(options);
    const files = Object.keys(tree(path)).filter((name) => !name.startsWith(".ocireg/"));
    return { files, bytes: world.sent.bytes - before, path };
  };

  test("fetches one file, also one of an archive", async () => {
    const license = await sentBy({ include: ["LICENSE"] });
    expect(license.files).toEqual(["LICENSE"]);
    expect(license.bytes).toBeLessThan(120_000);
    const config = await sentBy({ include: ["config.json"], output: temporaryDirectory() });
    expect(config.files).toEqual(["config.json"]);
    // The small archive and the headers of the others.
    expect(config.bytes).toBeLessThan(250_000);
  });

  test("knows shards by the index of the artifact before it fetches them", async () => {
    const { files, bytes, path } = await sentBy({ include: ["model-00001*"] });
    expect(files).toEqual(["model-00001-of-00002.safetensors"]);
    expect(bytes).toBeLessThan(120_000 + 150_000);
    const content = readFileSync(join(path, "model-00001-of-00002.safetensors"));
    expect(digestOf(content)).toBe(digestOf(weights[1] ?? ""));
  });

  test("remembers what it looked up: a second pull asks for the manifest alone", async () => {
    for (const output of [undefined, temporaryDirectory()]) {
      const options = { cache: world.newCache(), output, include: ["model-00001*", "config.json"] };
      await pullTo(options);
      world.requests.length = 0;
      const { path } = await pullTo(options);
      const blobs = world.requests.filter((request) => request === "GET blobs");
      // Without a cache the config of the artifact is read again.
      expect(blobs.length).toBeLessThan(2);
      expect(readdirSync(path)).toContain("config.json");
      if (output === undefined) await pullTo({ ...options, offline: true });
    }
  });

  test("grows to the whole model, which is what a pull of everything makes", async () => {
    const cache = world.newCache();
    await pullTo({ cache, include: ["model-00002*", "config.json"] });
    const { path } = await pullTo({ cache });
    expect(tree(path)).toEqual(tree((await pullTo({})).path));
  });

  test("knows GGUF shards by their headers, whatever their order", async () => {
    const at = world.reference("user/gguf-unnamed:v1");
    const split = (no: number) =>
      ggufFile({ "general.architecture": "llama", "split.no": no, "split.count": 2 });
    await pushArtifact(world, at, {
      configType: DOCKER_CONFIG_V01,
      layers: [1, 0].map((no) => ({ mediaType: DOCKER_GGUF, content: split(no) })),
    });
    const { path } = await pullTo({ reference: at, include: ["*-00001-*"] });
    expect(readdirSync(path)).toEqual(["model-00001-of-00002.gguf"]);
    expect(digestOf(readFileSync(join(path, "model-00001-of-00002.gguf")))).toBe(
      digestOf(split(0)),
    );
  });

  test("refuses an archive with a path that leads outside before anything is fetched", async () => {
    const at = world.reference("user/hostile:v1");
    await pushArtifact(world, at, {
      configType: DOCKER_CONFIG_V01,
      layers: [{ mediaType: DOCKER_CONFIG_TAR, content: tar({ name: "../evil" }) }],
    });
    const cache = world.newCache();
    const { message } = await failureOf(
      pullTo({ reference: at, cache, include: ["*.json"] }),
      "content",
    );
    expect(message).toContain("../evil");
    expect(Object.keys(tree(cache.root)).filter((path) => path.startsWith("views"))).toEqual([]);
  });
});
