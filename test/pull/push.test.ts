import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import {
  cpSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import {
  DOCKER_CHAT_TEMPLATE,
  DOCKER_CONFIG_TAR,
  DOCKER_CONFIG_V01,
  DOCKER_CONFIG_V02,
  DOCKER_DIRECTORY_TAR,
  DOCKER_FILE,
  DOCKER_GGUF,
  DOCKER_LICENSE,
  DOCKER_SAFETENSORS,
} from "../../src/model/docker.ts";
import { digestOf } from "../../src/oci/digest.ts";
import type { TransferEvent } from "../../src/pull/events.ts";
import { pull } from "../../src/pull/pull.ts";
import { type PushOptions, push } from "../../src/pull/push.ts";
import { ggufFile } from "../model/fixtures.ts";
import { makeModel } from "../support/model.ts";
import { temporaryDirectory } from "../support/temp.ts";
import { failureOf, startWorld, tree, type World } from "./fixtures.ts";

let world: World;
beforeAll(async () => {
  world = await startWorld();
});
afterAll(() => world.registry.stop());

const pushFrom = (path: string, name: string, options: Partial<PushOptions> = {}) =>
  push({
    path,
    reference: world.reference(`pushed/${name}:v1`),
    client: world.client,
    format: "docker-v0.1",
    ...options,
  });

async function manifestOf(name: string) {
  const { manifest } = await world.client.getManifest(world.reference(`pushed/${name}:v1`));
  if (manifest.kind !== "image") throw new Error(`it is an ${manifest.kind}`);
  return manifest.content;
}

async function configOf(name: string): Promise<unknown> {
  const { config } = await manifestOf(name);
  const stream = await world.client.openBlob(world.reference(`pushed/${name}`), config);
  return new Response(stream).json();
}

async function pullBack(name: string): Promise<Record<string, string>> {
  const reference = world.reference(`pushed/${name}:v1`);
  const { path } = await pull({ reference, client: world.client, cache: world.newCache() });
  return tree(path);
}

describe("pushing a directory to Docker AI v0.1", () => {
  test("makes the layers of the format: shards in order, one config archive, licences", async () => {
    const model = temporaryDirectory();
    await makeModel(model, { shards: 2 });
    const pushed = await pushFrom(model, "layers", { annotations: { "org.example.a": "b" } });
    expect(pushed.reference).toBe(`${world.registry.host}/pushed/layers@${pushed.digest}`);
    const { config, layers, annotations, artifactType } = await manifestOf("layers");
    expect(layers.map(({ mediaType }) => mediaType)).toEqual([
      DOCKER_SAFETENSORS,
      DOCKER_SAFETENSORS,
      DOCKER_CONFIG_TAR,
      DOCKER_LICENSE,
    ]);
    const shard = readFileSync(join(model, "model-00001-of-00002.safetensors"));
    expect(layers[0]?.digest).toBe(digestOf(shard));
    expect(annotations).toEqual({ "org.example.a": "b" });
    expect(artifactType).toBeUndefined();
    expect(config.mediaType).toBe(DOCKER_CONFIG_V01);
    expect(await configOf("layers")).toEqual({
      config: {
        format: "safetensors",
        quantization: "BF16",
        parameters: "65.54K",
        architecture: "LlamaForCausalLM",
        size: expect.stringMatching(/^[\d.]+KiB$/),
        context_size: 2048,
      },
      descriptor: {},
      rootfs: { type: "rootfs", diff_ids: layers.map(({ digest }) => digest) },
    });
  });

  test("and pulling it gives every file back, also of folders and by symlinks", async () => {
    const files = temporaryDirectory();
    await makeModel(files, { shards: 2 });
    mkdirSync(join(files, "1_Pooling/deeper"), { recursive: true });
    writeFileSync(join(files, "1_Pooling/config.json"), "{}");
    writeFileSync(join(files, "1_Pooling/deeper/more.txt"), "more");
    mkdirSync(join(files, "2_Normalize"));
    writeFileSync(join(files, "2_Normalize/config.json"), "{}");
    writeFileSync(join(files, `${"long-".repeat(40)}name.json`), "{}");
    writeFileSync(join(files, `${"ünï".repeat(25)}.txt`), "ü");
    mkdirSync(join(files, ".cache"));
    writeFileSync(join(files, ".cache/hidden.json"), "{}");
    writeFileSync(join(files, ".gitattributes"), "");
    // As the cache of Hugging Face has it: a directory of symlinks.
    const snapshot = temporaryDirectory();
    for (const name of readdirSync(files)) symlinkSync(join(files, name), join(snapshot, name));
    await pushFrom(snapshot, "everything");
    rmSync(join(files, ".cache"), { recursive: true });
    rmSync(join(files, ".gitattributes"));
    expect(await pullBack("everything")).toEqual(tree(files));
    const { layers } = await manifestOf("everything");
    expect(layers.filter(({ mediaType }) => mediaType === DOCKER_DIRECTORY_TAR)).toHaveLength(2);
  });

  test("makes the same manifest for the same files, whatever their times, modes and order", async () => {
    const one = temporaryDirectory();
    await makeModel(one, { shards: 2 });
    const other = temporaryDirectory();
    for (const name of readdirSync(one).reverse()) {
      cpSync(join(one, name), join(other, name));
      utimesSync(join(other, name), 1, 1);
    }
    const first = await pushFrom(one, "same-one");
    const second = await pushFrom(other, "same-other");
    expect(second.digest).toBe(first.digest);
  });

  test("uploads nothing that is there", async () => {
    const model = temporaryDirectory();
    await makeModel(model, { shards: 1, seed: 77 });
    await pushFrom(model, "twice");
    world.requests.length = 0;
    await pushFrom(model, "twice");
    expect(new Set(world.requests)).toEqual(new Set(["HEAD blobs", "PUT manifests"]));
  });

  test("sends of files that are the same only one", async () => {
    const model = temporaryDirectory();
    await makeModel(model, { shards: 1, seed: 321 });
    const weights = readFileSync(join(model, "model.safetensors"));
    rmSync(join(model, "model.safetensors"));
    writeFileSync(join(model, "model-00001-of-00002.safetensors"), weights);
    writeFileSync(join(model, "model-00002-of-00002.safetensors"), weights);
    const events: TransferEvent[] = [];
    await pushFrom(model, "same", { onEvent: (event) => events.push(event) });
    const { layers } = await manifestOf("same");
    expect([layers[0]?.digest, layers[1]?.digest]).toEqual(Array(2).fill(digestOf(weights)));
    // Other repositories have its configuration.
    const sent = weights.byteLength;
    expect(events.at(-1)).toEqual({ type: "done", total: sent, completed: sent });
  });

  test("tells what it sends, and what it leaves out", async () => {
    const model = temporaryDirectory();
    // Weights that no other repository has: those would be mounted.
    await makeModel(model, { shards: 1, seed: 123 });
    writeFileSync(join(model, "pytorch_model.bin"), "pickle");
    const events: TransferEvent[] = [];
    await pushFrom(model, "told", { onEvent: (event) => events.push(event) });
    expect(events[0]).toEqual({
      type: "warning",
      message: expect.stringContaining("pytorch_model.bin"),
    });
    expect(events[1]?.type).toBe("start");
    const last = events.at(-1);
    if (last?.type !== "done") throw new Error("it isn't done");
    expect(last.completed).toBe(last.total);
    expect(last.completed).toBeGreaterThan(0);
  });

  test("counts nothing of what the registry has already", async () => {
    const model = temporaryDirectory();
    await makeModel(model, { shards: 2, bytesPerShard: 4096, seed: 99 });
    await pushFrom(model, "there");
    const events: TransferEvent[] = [];
    await pushFrom(model, "there", { onEvent: (event) => events.push(event) });
    expect(events[0]).toMatchObject({ type: "start", atMost: true });
    expect(events.at(-1)).toEqual({ type: "done", completed: 0, total: 0 });
  });

  test("refuses weights that aren't valid, and pushes nothing", async () => {
    const model = temporaryDirectory();
    writeFileSync(join(model, "model.safetensors"), "not weights at all");
    await failureOf(pushFrom(model, "invalid"), "content");
    await failureOf(manifestOf("invalid"), "not-found");
  });

  test("refuses a path that isn't there, or holds no model", async () => {
    await failureOf(pushFrom(join(temporaryDirectory(), "nowhere"), "nothing"), "usage");
    await failureOf(pushFrom(temporaryDirectory(), "nothing"), "usage");
  });

  test("refuses a reference by another digest", async () => {
    const model = temporaryDirectory();
    await makeModel(model, { shards: 1 });
    const { digest } = await pushFrom(model, "by-digest");
    const at = world.reference("pushed/by-digest");
    await pushFrom(model, "by-digest", { reference: { ...at, digest } });
    const other = { ...at, digest: digestOf("another") };
    await failureOf(pushFrom(model, "by-digest", { reference: other }), "usage");
  });

  test("ends at folders that lead back to themselves", async () => {
    const model = temporaryDirectory();
    await makeModel(model, { shards: 1 });
    mkdirSync(join(model, "loop"));
    symlinkSync(model, join(model, "loop", "again"));
    await pushFrom(model, "loop");
  });

  test("names what leads to nothing but itself", async () => {
    const model = temporaryDirectory();
    await makeModel(model, { shards: 1 });
    symlinkSync("round", join(model, "round"));
    const { message } = await failureOf(pushFrom(model, "round"), "disk");
    expect(message).toContain(`can't read ${JSON.stringify(join(model, "round"))}: ELOOP`);
  });

  test("refuses folders that symlinks make endlessly many", async () => {
    const model = temporaryDirectory();
    await makeModel(model, { shards: 1 });
    for (let depth = 0; depth < 24; depth++) mkdirSync(join(model, `d${depth}`));
    for (let depth = 0; depth < 23; depth++) {
      for (const name of ["a", "b"])
        symlinkSync(`../d${depth + 1}`, join(model, `d${depth}`, name));
    }
    const { message } = await failureOf(pushFrom(model, "farm"), "usage");
    expect(message).toContain("more than 100000 files");
  });
});

describe("pushing a directory to ModelPack", () => {
  const options = { format: "modelpack" } as const;

  test("makes a layer of each file, and a config with what the files say", async () => {
    const model = temporaryDirectory();
    await makeModel(model, { shards: 2 });
    writeFileSync(join(model, "README.md"), "---\nlicense: mit\n---\n# A model\n");
    mkdirSync(join(model, "1_Pooling"));
    writeFileSync(join(model, "1_Pooling/config.json"), "{}");
    writeFileSync(join(model, ".gitattributes"), "*.safetensors filter=lfs");
    mkdirSync(join(model, "__pycache__"));
    writeFileSync(join(model, "__pycache__/x.cpython-312.pyc"), "");
    const { digest } = await pushFrom(model, "modelpack", options);
    const { artifactType, config, layers } = await manifestOf("modelpack");
    expect(artifactType).toBe("application/vnd.cncf.model.manifest.v1+json");
    expect(config.mediaType).toBe("application/vnd.cncf.model.config.v1+json");
    expect(
      layers.map(({ mediaType, annotations }) => [
        annotations?.["org.cncf.model.filepath"],
        mediaType.slice("application/vnd.cncf.model.".length),
      ]),
    ).toEqual([
      ["model-00001-of-00002.safetensors", "weight.v1.raw"],
      ["model-00002-of-00002.safetensors", "weight.v1.raw"],
      ["1_Pooling/config.json", "weight.config.v1.raw"],
      ["config.json", "weight.config.v1.raw"],
      ["generation_config.json", "weight.config.v1.raw"],
      ["model.safetensors.index.json", "weight.config.v1.raw"],
      ["special_tokens_map.json", "weight.config.v1.raw"],
      ["tokenizer.json", "weight.config.v1.raw"],
      ["tokenizer_config.json", "weight.config.v1.raw"],
      ["chat_template.jinja", "weight.config.v1.raw"],
      ["README.md", "doc.v1.raw"],
      ["LICENSE", "doc.v1.raw"],
    ]);
    for (const { annotations = {}, digest, size } of layers) {
      const file = readFileSync(join(model, annotations["org.cncf.model.filepath"] ?? ""));
      expect({ digest, size }).toEqual({ digest: digestOf(file), size: file.byteLength });
    }
    expect(await configOf("modelpack")).toEqual({
      descriptor: { family: "llama", licenses: ["MIT"] },
      config: {
        format: "safetensors",
        architecture: "LlamaForCausalLM",
        paramSize: "65.5K",
        precision: "bfloat16",
      },
      modelfs: { type: "layers", diffIds: layers.map((layer) => layer.digest) },
    });
    // Where the files lie, and when they were made, doesn't matter.
    const other = temporaryDirectory();
    cpSync(model, other, { recursive: true });
    utimesSync(join(other, "config.json"), 1, 1);
    expect((await pushFrom(other, "modelpack-again", options)).digest).toBe(digest);
  });

  test("and a pull gives every file back, under its own format", async () => {
    const model = temporaryDirectory();
    await makeModel(model, { shards: 2 });
    mkdirSync(join(model, "1_Pooling/deeper"), { recursive: true });
    writeFileSync(join(model, "1_Pooling/deeper/empty.txt"), "");
    writeFileSync(join(model, `${"ünï".repeat(25)}.txt`), "ü");
    await pushFrom(model, "round-trip", options);
    const reference = world.reference("pushed/round-trip:v1");
    const events: TransferEvent[] = [];
    const pulled = await pull({
      reference,
      client: world.client,
      cache: world.newCache(),
      onEvent: (event) => events.push(event),
    });
    expect(tree(pulled.path)).toEqual(tree(model));
    expect(pulled.format).toBe("modelpack");
    expect(events.filter(({ type }) => type === "warning")).toEqual([]);
  });

  test("takes the snapshot of a Hugging Face cache, by its own path or its model's", async () => {
    const plain = temporaryDirectory();
    await makeModel(plain, { shards: 2 });
    const { digest } = await pushFrom(plain, "plain", options);
    // As huggingface_hub lays it out: blobs by content, snapshots of links to them.
    const model = join(temporaryDirectory(), "models--org--name");
    const snapshot = join(model, "snapshots", "0123abc");
    for (const folder of ["blobs", "refs", ".no_exist"]) {
      mkdirSync(join(model, folder), { recursive: true });
    }
    mkdirSync(snapshot, { recursive: true });
    mkdirSync(join(model, "snapshots", "0ther"));
    writeFileSync(join(model, "refs", "main"), "0123abc");
    for (const name of readdirSync(plain)) {
      const blob = digestOf(readFileSync(join(plain, name))).slice("sha256:".length);
      cpSync(join(plain, name), join(model, "blobs", blob));
      symlinkSync(join("../../blobs", blob), join(snapshot, name));
    }
    expect((await pushFrom(snapshot, "snapshot", options)).digest).toBe(digest);
    expect((await pushFrom(model, "hub", options)).digest).toBe(digest);
    // Nobody says which of the two.
    rmSync(join(model, "refs", "main"));
    const failure = await failureOf(pushFrom(model, "hub", options), "usage");
    expect(failure.message).toContain("2 snapshots");
    rmSync(join(model, "snapshots", "0ther"), { recursive: true });
    expect((await pushFrom(model, "hub", options)).digest).toBe(digest);
  });

  test("takes weights in folders, and of a kind that it can't look into", async () => {
    const model = temporaryDirectory();
    await makeModel(join(model, "text_encoder"), { shards: 1 });
    await makeModel(join(model, "vae"), { shards: 1, seed: 5 });
    writeFileSync(join(model, "model_index.json"), "{}");
    await pushFrom(model, "diffusers", options);
    expect(await configOf("diffusers")).toMatchObject({
      config: { format: "safetensors", paramSize: "65.5K" },
    });
    const other = temporaryDirectory();
    writeFileSync(join(other, "pytorch_model.bin"), "pickle");
    await pushFrom(other, "pickle", options);
    expect(await configOf("pickle")).toMatchObject({ config: { format: "pt" } });
  });

  test("hashes files that are large elsewhere, to the same digest", async () => {
    const model = temporaryDirectory();
    const MIB = 1024 * 1024;
    await makeModel(model, { shards: 3, bytesPerShard: 9 * MIB });
    await pushFrom(model, "large", options);
    const { layers } = await manifestOf("large");
    for (const { digest, annotations = {} } of layers.slice(0, 3)) {
      const file = readFileSync(join(model, annotations["org.cncf.model.filepath"] ?? ""));
      expect(digest).toBe(digestOf(file));
    }
  });

  test("refuses more files than a manifest can name", async () => {
    const model = temporaryDirectory();
    await makeModel(model, { shards: 1 });
    const long = "n".repeat(240);
    for (let i = 0; i < 7_000; i++) writeFileSync(join(model, `${long}${i}.json`), "{}");
    const failure = await failureOf(pushFrom(model, "many", options), "usage");
    expect(failure.message).toContain("too many for one manifest");
    await failureOf(manifestOf("many"), "not-found");
  });

  test("leaves out a second copy of the weights, and says so", async () => {
    const model = temporaryDirectory();
    await makeModel(model, { shards: 2 });
    cpSync(
      join(model, "model-00001-of-00002.safetensors"),
      join(model, "consolidated.safetensors"),
    );
    const events: TransferEvent[] = [];
    await pushFrom(model, "copy", { ...options, onEvent: (event) => events.push(event) });
    expect(events[0]).toEqual({
      type: "warning",
      message: 'left out "consolidated.safetensors": it is a second copy of the weights',
    });
  });

  test("names a file that can't be read", async () => {
    const model = temporaryDirectory();
    await makeModel(model, { shards: 1 });
    rmSync(join(model, "config.json"));
    symlinkSync("/nowhere/at/all", join(model, "config.json"));
    const failure = await failureOf(pushFrom(model, "unreadable", options), "usage");
    expect(failure.message).toContain("config.json");
  });
});

describe("pushing a directory to Docker AI v0.2", () => {
  test("makes a layer of each file, which a pull gives back", async () => {
    const model = temporaryDirectory();
    await makeModel(model, { shards: 2 });
    mkdirSync(join(model, "1_Pooling"));
    writeFileSync(join(model, "1_Pooling/config.json"), "{}");
    await pushFrom(model, "docker", { format: "docker" });
    const { artifactType, config, layers } = await manifestOf("docker");
    expect({ artifactType, type: config.mediaType }).toEqual({
      artifactType: undefined,
      type: DOCKER_CONFIG_V02,
    });
    expect(new Set(layers.map(({ mediaType }) => mediaType))).toEqual(
      new Set([DOCKER_SAFETENSORS, DOCKER_FILE, DOCKER_CHAT_TEMPLATE, DOCKER_LICENSE]),
    );
    expect(await pullBack("docker")).toEqual(tree(model));
  });
});

describe("pushing GGUF", () => {
  const file = ggufFile(
    { "general.architecture": "llama", "general.file_type": 2, "llama.context_length": 512 },
    { t: [256, 4] },
  );

  test("takes one file, and pulling gives it back under its name", async () => {
    const path = join(temporaryDirectory(), "tiny-Q4_0.gguf");
    writeFileSync(path, file);
    await pushFrom(path, "gguf");
    expect((await manifestOf("gguf")).layers.map(({ mediaType }) => mediaType)).toEqual([
      DOCKER_GGUF,
    ]);
    expect(await pullBack("gguf")).toEqual({ "tiny-Q4_0.gguf": digestOf(file) });
  });

  test("takes one of its shards for all of them", async () => {
    const model = temporaryDirectory();
    const shard = (no: number) => {
      const path = join(model, `tiny-0000${no}-of-00002.gguf`);
      writeFileSync(path, ggufFile({ "split.no": no - 1, "split.count": 2 }, { [`t${no}`]: [8] }));
      return path;
    };
    const first = shard(1);
    const failure = await failureOf(pushFrom(first, "gguf-shards"), "usage");
    expect(failure.message).toContain("one of 2 shards, but 1 are there");
    shard(2);
    writeFileSync(join(model, "other.gguf"), file);
    await pushFrom(first, "gguf-shards", { format: "modelpack" });
    expect((await manifestOf("gguf-shards")).layers).toHaveLength(2);
    expect(await configOf("gguf-shards")).toMatchObject({
      config: { format: "gguf", paramSize: "0K" },
    });
  });

  test("takes a directory with a template and a licence", async () => {
    const model = temporaryDirectory();
    writeFileSync(join(model, "m.gguf"), file);
    writeFileSync(join(model, "chat_template.jinja"), "{{ x }}");
    writeFileSync(join(model, "LICENSE"), "MIT");
    await pushFrom(model, "gguf-directory");
    expect(await pullBack("gguf-directory")).toEqual(tree(model));
  });
});
