import { afterAll, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import {
  DOCKER_CHAT_TEMPLATE,
  DOCKER_CONFIG_TAR,
  DOCKER_CONFIG_V02,
  DOCKER_GGUF,
  DOCKER_SAFETENSORS,
  DOCKER_CONFIG_V01 as OLD,
} from "../../src/model/docker.ts";
import { MODELPACK_CONFIG } from "../../src/model/modelpack.ts";
import type { PackFormat } from "../../src/model/packing.ts";
import { OCI_IMAGE_CONFIG, OCI_LAYER } from "../../src/oci/media-types.ts";
import { convert } from "../../src/pull/convert.ts";
import { pull } from "../../src/pull/pull.ts";
import { push } from "../../src/pull/push.ts";
import { RegistryClient } from "../../src/registry/client.ts";
import { ggufFile, tensorFile } from "../model/fixtures.ts";
import { makeModel } from "../support/model.ts";
import { temporaryDirectory } from "../support/temp.ts";
import { failureOf, pushArtifact, startWorld, tree, type World } from "./fixtures.ts";
import { tar } from "./tar.ts";

let world: World;
let other: World;
let model: string;
beforeAll(async () => {
  [world, other] = [await startWorld(), await startWorld()];
  model = temporaryDirectory();
  await makeModel(model, { shards: 2 });
  mkdirSync(join(model, "1_Pooling"));
  writeFileSync(join(model, "1_Pooling/config.json"), "{}");
  for (const format of ["modelpack", "docker", "docker-v0.1"] as const) await pushTo(format);
});
afterAll(async () => {
  await world.registry.stop();
  await other.registry.stop();
});
beforeEach(() => {
  world.requests.length = 0;
  world.sent.bytes = 0;
});

const client = new RegistryClient({ env: {} });

/** Where `push` puts the model in a format. */
const at = (format: PackFormat) => world.reference(`pushed/${format.replace("v0.1", "old")}:v1`);

const pushTo = (format: PackFormat) => push({ path: model, reference: at(format), client, format });

const run = (from: PackFormat, format: PackFormat, to = world.reference("pushed/converted:v1")) =>
  convert({ source: at(from), target: to, client, format });

describe("a model in another format", () => {
  test.each([
    ["modelpack", "docker"],
    ["docker", "modelpack"],
    ["modelpack", "docker-v0.1"],
    ["docker", "docker-v0.1"],
    ["docker-v0.1", "modelpack"],
    ["docker-v0.1", "docker"],
  ] as const)("from %s to %s is what a push of its files makes", async (from, to) => {
    const pushed = await pushTo(to);
    const converted = await run(from, to);
    expect(converted.digest).toBe(pushed.digest);
    expect(converted.reference).toBe(`${world.registry.host}/pushed/converted@${pushed.digest}`);
  });

  test("comes back whole", async () => {
    await run("modelpack", "docker");
    const reference = world.reference("pushed/converted:v1");
    const { path } = await pull({ reference, client, cache: world.newCache() });
    expect(tree(path)).toEqual(tree(model));
  });

  test("moves no weights within a registry", async () => {
    await run("modelpack", "docker", world.reference("pushed/unmoved:v1"));
    // The heads of two shards, and configuration.
    expect(world.sent.bytes).toBeLessThan(16 * 1024);
    expect(world.requests).not.toContain("PATCH blobs");
  });

  test("moves no weights either when its configuration is in archives", async () => {
    await run("docker-v0.1", "docker", world.reference("pushed/unpacked:v1"));
    expect(world.sent.bytes).toBeLessThan(32 * 1024);
  });

  test("goes to another registry on the way", async () => {
    const target = other.reference("there/model:v1");
    await run("modelpack", "docker", target);
    const { path } = await pull({ reference: target, client, cache: other.newCache() });
    expect(tree(path)).toEqual(tree(model));
  });

  test("is copied as it is when it has that format", async () => {
    const { digest } = await pushTo("modelpack");
    expect((await run("modelpack", "modelpack")).digest).toBe(digest);
  });
});

describe("what other programs packed", () => {
  const gguf = ggufFile({ "general.architecture": "llama", "general.file_type": 2 }, { t: [1500] });

  test("keeps its annotations, and when it was made", async () => {
    const source = world.reference("made/elsewhere:v1");
    await pushArtifact(world, source, {
      configType: OLD,
      config: JSON.stringify({ config: {}, descriptor: { created: "2026-01-02T03:04:05Z" } }),
      layers: [{ mediaType: DOCKER_GGUF, content: gguf }],
      annotations: { "org.opencontainers.image.title": "Tiny" },
    });
    const target = world.reference("made/modelpack:v1");
    await convert({ source, target, client, format: "modelpack" });
    const { manifest } = await client.getManifest(target);
    if (manifest.kind !== "image") throw new Error("it is no image");
    const { config, annotations, layers } = manifest.content;
    expect(config.mediaType).toBe(MODELPACK_CONFIG);
    expect(annotations).toEqual({ "org.opencontainers.image.title": "Tiny" });
    expect(layers[0]?.annotations).toMatchObject({ "org.cncf.model.filepath": "model.gguf" });
    const content = await new Response(await client.openBlob(target, config)).json();
    expect(content).toMatchObject({
      descriptor: { createdAt: "2026-01-02T03:04:05Z", family: "llama" },
      config: { format: "gguf", architecture: "llama", paramSize: "1.5K", quantization: "Q4_0" },
    });
  });

  test("may have a file as a layer and in an archive", async () => {
    const template = "{{ messages }}";
    const layers = [
      { mediaType: DOCKER_SAFETENSORS, content: tensorFile({ a: 3 }) },
      { mediaType: DOCKER_CHAT_TEMPLATE, content: template },
    ];
    const put = async (name: string, inArchive: string) => {
      const content = tar(
        { name: "config.json", content: "{}" },
        { name: "chat_template.jinja", content: inArchive },
      );
      const source = world.reference(`made/${name}:v1`);
      const archive = { mediaType: DOCKER_CONFIG_TAR, content };
      await pushArtifact(world, source, { configType: OLD, layers: [...layers, archive] });
      return source;
    };
    const target = world.reference("made/twice:v1");
    await convert({ source: await put("same", template), target, client, format: "docker" });
    const { manifest } = await client.getManifest(target);
    if (manifest.kind !== "image") throw new Error("it is no image");
    const paths = manifest.content.layers.map(
      ({ annotations = {} }) => annotations["org.cncf.model.filepath"],
    );
    expect(paths).toEqual(["model.safetensors", "config.json", "chat_template.jinja"]);
    const source = await put("different", "another");
    await failureOf(convert({ source, target, client, format: "docker" }), "content");
  });

  test("may have shards whose names only their headers tell", async () => {
    const source = world.reference("made/unnamed:v1");
    const layers = [tensorFile({ a: 3 }), tensorFile({ b: 4 })].map((content) => ({
      mediaType: DOCKER_SAFETENSORS,
      content,
    }));
    await pushArtifact(world, source, { configType: OLD, layers });
    const target = world.reference("made/named:v1");
    await convert({ source, target, client, format: "modelpack" });
    const { path } = await pull({ reference: target, client, cache: world.newCache() });
    expect(Object.keys(tree(path))).toEqual([
      "model-00001-of-00002.safetensors",
      "model-00002-of-00002.safetensors",
    ]);
  });

  test("may be in the layers of a container image", async () => {
    const source = world.reference("made/car:v1");
    await pushArtifact(world, source, {
      configType: OCI_IMAGE_CONFIG,
      config: JSON.stringify({ architecture: "amd64", os: "linux" }),
      layers: [
        {
          mediaType: OCI_LAYER,
          content: gzipSync(
            tar(
              { name: "models/config.json", content: "{}" },
              { name: "models/model.safetensors", content: tensorFile({ a: 3 }) },
            ),
          ),
        },
      ],
    });
    const target = world.reference("made/unpacked:v1");
    await convert({ source, target, client, format: "docker" });
    const { path } = await pull({ reference: target, client, cache: world.newCache() });
    expect(Object.keys(tree(path))).toEqual(["config.json", "model.safetensors"]);
  });

  test("is refused where it is no model", async () => {
    const source = world.reference("made/image:v1");
    await pushArtifact(world, source, {
      configType: OCI_IMAGE_CONFIG,
      config: JSON.stringify({ architecture: "amd64", os: "linux" }),
      layers: [{ mediaType: OCI_LAYER, content: gzipSync(tar({ name: "bin/sh" })) }],
    });
    const target = world.reference("made/refused:v1");
    await failureOf(convert({ source, target, client, format: "docker" }), "content");
    await failureOf(client.getManifest(target), "not-found");
  });

  test("is refused where weights aren't what they say", async () => {
    const source = world.reference("made/broken:v1");
    await pushArtifact(world, source, {
      configType: DOCKER_CONFIG_V02,
      layers: [{ mediaType: DOCKER_GGUF, content: "no weights" }],
    });
    const target = world.reference("made/refused:v1");
    await failureOf(convert({ source, target, client, format: "modelpack" }), "content");
  });
});
