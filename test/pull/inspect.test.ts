import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdirSync, truncateSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import {
  DOCKER_CONFIG_TAR,
  DOCKER_CONFIG_V01,
  DOCKER_GGUF,
  DOCKER_LICENSE,
  DOCKER_SAFETENSORS,
} from "../../src/model/docker.ts";
import { type Digest, digestOf, encodedOf } from "../../src/oci/digest.ts";
import { OCI_IMAGE_MANIFEST } from "../../src/oci/media-types.ts";
import { inspect } from "../../src/pull/inspect.ts";
import { push } from "../../src/pull/push.ts";
import { filepath, ggufFile, safetensorsFile, tensorFile } from "../model/fixtures.ts";
import { makeModel } from "../support/model.ts";
import { temporaryDirectory } from "../support/temp.ts";
import { pushArtifact, startWorld, storedBlob, type World } from "./fixtures.ts";
import { tar } from "./tar.ts";

let world: World;
beforeAll(async () => {
  world = await startWorld();
});
afterAll(() => world.registry.stop());

const look = (name: string) => inspect(world.client, world.reference(name));

/** Puts a blob of any size into the registry that has nothing but zeros after its beginning. */
function storeHollow(repository: string, beginning: Uint8Array, size: number): Digest {
  const digest = digestOf(`${repository} ${size} ${digestOf(beginning)}`);
  const path = storedBlob(world, digest);
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, beginning);
  truncateSync(path, size);
  const layers = "docker/registry/v2/repositories";
  const link = join(
    ...[world.registry.root, layers, repository, "_layers/sha256", encodedOf(digest), "link"],
  );
  mkdirSync(dirname(link), { recursive: true });
  writeFileSync(link, digest);
  return digest;
}

describe("inspecting", () => {
  test("tells what the files say about the model, and where they say nothing the packer", async () => {
    const bytes = ggufFile({ "general.architecture": "llama" }, { t: [1000] });
    const reference = world.reference("user/facts:v1");
    const digest = await pushArtifact(world, reference, {
      configType: DOCKER_CONFIG_V01,
      config: JSON.stringify({
        config: { architecture: "other", quantization: "Q4_0", context_size: 2048 },
      }),
      layers: [{ mediaType: DOCKER_GGUF, content: bytes, annotations: filepath("m.gguf") }],
    });
    expect(await inspect(world.client, reference)).toEqual({
      reference: `${world.registry.host}/user/facts:v1`,
      digest,
      mediaType: OCI_IMAGE_MANIFEST,
      format: "docker",
      size: bytes.byteLength,
      files: [
        {
          path: "m.gguf",
          kind: "file",
          mediaType: DOCKER_GGUF,
          digest: digestOf(bytes),
          size: bytes.byteLength,
        },
      ],
      model: {
        format: "gguf",
        architecture: "llama",
        parameters: "1.00K",
        parameterCount: 1000,
        quantization: "Q4_0",
        contextSize: 2048,
      },
      licenses: [],
      referrers: [],
      annotations: {},
      warnings: [],
    });
  });

  test("reads a directory that was pushed: its shards, its configuration, its licence", async () => {
    const path = temporaryDirectory();
    await makeModel(path);
    writeFileSync(join(path, "README.md"), "---\nlicense: apache-2.0\n---\n# A model\n");
    const reference = world.reference("user/pushed:v1");
    await push({ path, reference, client: world.client, format: "docker" });
    const { model, licenses, files } = await inspect(world.client, reference);
    expect(model).toMatchObject({
      format: "safetensors",
      architecture: "LlamaForCausalLM",
      parameterCount: 65536,
      quantization: "BF16",
      contextSize: 2048,
    });
    expect(licenses).toEqual(["Apache-2.0"]);
    const names = files.flatMap((file) => [file.path, ...(file.files ?? []).map((f) => f.path)]);
    expect(names).toContain("model-00002-of-00002.safetensors");
    expect(names).toContain("config.json");
  });

  test("names shards by their headers and the index in the archive", async () => {
    const weights = [tensorFile({ a: 10 }), tensorFile({ b: 20 })];
    const index = { weight_map: { a: "second.safetensors", b: "first.safetensors" } };
    await pushArtifact(world, world.reference("user/unnamed:v1"), {
      configType: DOCKER_CONFIG_V01,
      layers: [
        ...weights.map((content) => ({ mediaType: DOCKER_SAFETENSORS, content })),
        {
          mediaType: DOCKER_CONFIG_TAR,
          content: tar({ name: "model.safetensors.index.json", content: JSON.stringify(index) }),
        },
      ],
    });
    const { files, model } = await look("user/unnamed:v1");
    expect(files.map(({ path }) => path)).toEqual([
      "second.safetensors",
      "first.safetensors",
      undefined,
    ]);
    expect(files[2]?.files?.map(({ path }) => path)).toEqual(["model.safetensors.index.json"]);
    expect(model.parameterCount).toBe(30);
  });

  test("reads less than a megabyte of a hundred gigabytes", async () => {
    const gigabytes = 100;
    const shards = 20;
    const size = (gigabytes * 1024 ** 3) / shards;
    const perShard = Array.from({ length: shards }, (_, shard) => {
      const tensors = Array.from({ length: 100 }, (_, i) => `model.layers.${shard}.tensor.${i}`);
      let header = "{}";
      // The header's own length decides how much data it describes.
      for (let round = 0; round < 3; round++) {
        const data = size - 8 - Buffer.byteLength(header);
        const each = Math.floor(data / 200) * 2;
        const entries = tensors.map((name, i) => {
          const end = i === tensors.length - 1 ? data - (data % 2) : (i + 1) * each;
          const offsets = [i * each, end];
          return [name, { dtype: "BF16", shape: [(end - i * each) / 2], data_offsets: offsets }];
        });
        header = JSON.stringify(Object.fromEntries(entries));
        header = header.padEnd(header.length + (header.length % 2));
      }
      return storeHollow("user/large", safetensorsFile(header, 0), size);
    });
    const config = new TextEncoder().encode("{}");
    const reference = world.reference("user/large:v1");
    const described = { mediaType: DOCKER_CONFIG_V01, digest: digestOf(config), size: 2 };
    await world.client.pushBlob(reference, described, () => config);
    const manifest = {
      schemaVersion: 2,
      mediaType: OCI_IMAGE_MANIFEST,
      config: described,
      layers: perShard.map((digest, i) => ({
        mediaType: DOCKER_SAFETENSORS,
        digest,
        size,
        annotations: filepath(`model-${String(i + 1).padStart(5, "0")}-of-00020.safetensors`),
      })),
    };
    const bytes = new TextEncoder().encode(JSON.stringify(manifest));
    await world.client.putManifest(reference, bytes, OCI_IMAGE_MANIFEST);
    const before = world.sent.bytes;
    const { model, size: total, warnings } = await look("user/large:v1");
    expect(warnings).toEqual([]);
    expect(total).toBe(gigabytes * 1024 ** 3);
    expect(model.parameterCount).toBeGreaterThan(53e9);
    expect(model.quantization).toBe("BF16");
    expect(world.sent.bytes - before).toBeLessThan(1_000_000);
  });

  test("reads of GGUF what stands before its vocabulary, and no further", async () => {
    const vocabulary = Array.from({ length: 100_000 }, (_, i) => `token ${i}`);
    const content = ggufFile(
      {
        "general.architecture": "llama",
        "general.size_label": "8B",
        "general.license": "mit",
        "general.file_type": 15,
        "llama.context_length": 8192,
        "tokenizer.ggml.tokens": vocabulary,
      },
      { t: [7] },
    );
    await pushArtifact(world, world.reference("user/vocabulary:v1"), {
      configType: DOCKER_CONFIG_V01,
      layers: [{ mediaType: DOCKER_GGUF, content }],
    });
    const before = world.sent.bytes;
    const { model, licenses } = await look("user/vocabulary:v1");
    expect(model).toEqual({
      format: "gguf",
      architecture: "llama",
      parameters: "8B",
      quantization: "Q4_K_M",
      contextSize: 8192,
    });
    expect(licenses).toEqual(["MIT"]);
    expect(world.sent.bytes - before).toBeLessThan(500_000);
  });

  test("recognises a licence by its text", async () => {
    await pushArtifact(world, world.reference("user/licence:v1"), {
      configType: DOCKER_CONFIG_V01,
      layers: [
        {
          mediaType: DOCKER_LICENSE,
          content: "\n    Apache License\n    Version 2.0, January 2004\n",
        },
      ],
    });
    expect((await look("user/licence:v1")).licenses).toEqual(["Apache-2.0"]);
  });

  test("lists what refers to the artifact by kind, also what is tied to it by a tag", async () => {
    const reference = world.reference("user/signed:v1");
    const digest = await pushArtifact(world, reference, {
      layers: [{ mediaType: DOCKER_LICENSE, content: "MIT" }],
      configType: DOCKER_CONFIG_V01,
    });
    const refer = async (artifactType: string, tag?: string) => {
      const empty = new TextEncoder().encode("{}");
      const config = { mediaType: "application/vnd.oci.empty.v1+json", size: 2 };
      const descriptor = { ...config, digest: digestOf(empty) };
      await world.client.pushBlob(reference, descriptor, () => empty);
      const { size } = await world.client.resolve(reference);
      const subject = { mediaType: OCI_IMAGE_MANIFEST, digest, size };
      const manifest = {
        schemaVersion: 2,
        mediaType: OCI_IMAGE_MANIFEST,
        artifactType,
        config: descriptor,
        layers: [descriptor],
        ...(tag === undefined && { subject }),
      };
      const bytes = new TextEncoder().encode(JSON.stringify(manifest));
      const { registry, repository } = reference;
      const at = tag === undefined ? { digest: digestOf(bytes) } : { tag };
      await world.client.putManifest({ registry, repository, ...at }, bytes, OCI_IMAGE_MANIFEST);
    };
    await refer("application/spdx+json");
    await refer("application/x.anything");
    await refer("application/vnd.dev.cosign.artifact.sig.v1+json");
    await refer("application/vnd.in-toto+json");
    await refer("ignored", `${digest.replace(":", "-")}.sig`);
    const { referrers = [] } = await look("user/signed:v1");
    expect(referrers.map(({ kind, artifactType, tag }) => [kind, artifactType ?? tag])).toEqual([
      ["signature", "application/vnd.dev.cosign.artifact.sig.v1+json"],
      ["signature", `${digest.replace(":", "-")}.sig`],
      ["attestation", "application/vnd.in-toto+json"],
      ["sbom", "application/spdx+json"],
      ["other", "application/x.anything"],
    ]);
  });

  test("warns of files that aren't what they should be, and tells the rest", async () => {
    await pushArtifact(world, world.reference("user/broken:v1"), {
      configType: DOCKER_CONFIG_V01,
      config: JSON.stringify({ config: { parameters: "7B" } }),
      layers: [
        { mediaType: DOCKER_SAFETENSORS, content: "no weights", annotations: filepath("w") },
        {
          mediaType: DOCKER_SAFETENSORS,
          content: "none either, but with a name",
          annotations: filepath("model.safetensors"),
        },
        { mediaType: DOCKER_CONFIG_TAR, content: tar({ name: "../evil" }) },
      ],
    });
    const { warnings, model, files } = await look("user/broken:v1");
    expect(model.parameters).toBe("7B");
    expect(files).toHaveLength(3);
    expect(warnings.join("\n")).toContain("../evil");
    expect(warnings.join("\n")).toContain("model.safetensors isn't a valid safetensors file");
  });
});
