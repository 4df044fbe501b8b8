/** Choosing files of, and inspecting, artifacts of the formats beyond Docker's. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { OCI_LAYER } from "../../src/oci/media-types.ts";
import { type Inspection, inspect } from "../../src/pull/inspect.ts";
import { type PullOptions, pull } from "../../src/pull/pull.ts";
import { filepath, ggufFile, tensorFile } from "../model/fixtures.ts";
import {
  type ArtifactInput,
  type Layer,
  pushArtifact,
  startWorld,
  tree,
  type World,
} from "./fixtures.ts";
import { tar } from "./tar.ts";

let world: World;
let artifacts = 0;
beforeAll(async () => {
  world = await startWorld();
});
afterAll(() => world.registry.stop());

async function pushed(artifact: ArtifactInput): Promise<string> {
  const name = `formats/artifact-${++artifacts}:v1`;
  await pushArtifact(world, world.reference(name), artifact);
  return name;
}

const look = (name: string): Promise<Inspection> => inspect(world.client, world.reference(name));

/** The files that a pull shows, and the bytes that it cost. */
async function pulled(name: string, globs: Pick<PullOptions, "include" | "exclude">) {
  const { client } = world;
  const before = world.sent.bytes;
  const options = { reference: world.reference(name), client, cache: world.newCache(), ...globs };
  const { path } = await pull(options);
  return { files: Object.keys(tree(path)), bytes: world.sent.bytes - before };
}

const names = ({ files }: Inspection) =>
  files.flatMap((file) => file.files?.map(({ path }) => path) ?? file.path ?? `(${file.kind})`);

const weights = tensorFile({ a: 500_000 });
const config = JSON.stringify({ architectures: ["LlamaForCausalLM"], max_position_embeddings: 64 });

describe("a ModelPack artifact", () => {
  const modelpack = (...layers: Layer[]): ArtifactInput => ({
    artifactType: "application/vnd.cncf.model.manifest.v1+json",
    configType: "application/vnd.cncf.model.config.v1+json",
    config: JSON.stringify({
      descriptor: { licenses: ["Apache-2.0"], name: "tiny" },
      config: { paramSize: "1b", precision: "float32" },
    }),
    layers,
  });
  const type = (kind: string) => `application/vnd.cncf.model.${kind}`;

  test("of archives is looked into without fetching the weights in them", async () => {
    const name = await pushed(
      modelpack(
        {
          mediaType: type("weight.v1.tar"),
          content: tar({ name: "model.safetensors", content: weights }),
        },
        {
          mediaType: type("weight.config.v1.tar"),
          content: tar({ name: "config.json", content: config }),
        },
      ),
    );
    const inspection = await look(name);
    expect(names(inspection)).toEqual(["model.safetensors", "config.json"]);
    expect(inspection.licenses).toEqual(["Apache-2.0"]);
    expect(inspection.model).toMatchObject({
      name: "tiny",
      architecture: "LlamaForCausalLM",
      parameterCount: 500_000,
      contextSize: 64,
    });
    const { files, bytes } = await pulled(name, { exclude: ["*.safetensors"] });
    expect(files).toEqual(["config.json"]);
    expect(bytes).toBeLessThan(100_000);
  });

  test("whose raw layers have no names has them from their content", async () => {
    const raw = type("weight.v1.raw");
    const name = await pushed(
      modelpack(
        { mediaType: raw, content: weights },
        { mediaType: raw, content: tar({ name: "config.json", content: config }) },
      ),
    );
    expect(names(await look(name))).toEqual(["model.safetensors", "config.json"]);
    const { files, bytes } = await pulled(name, { include: ["config.json"] });
    expect(files).toEqual(["config.json"]);
    expect(bytes).toBeLessThan(100_000);
  });

  test("whose archives are compressed can't be looked into: they come whole", async () => {
    const content = Bun.gzipSync(Uint8Array.from(tar({ name: "a.txt" }, { name: "b.txt" })));
    const doc = { mediaType: type("doc.v1.tar+gzip"), content };
    const raw = { mediaType: type("weight.v1.raw"), content: weights, annotations: filepath("w") };
    const name = await pushed(modelpack(raw, doc));
    expect(names(await look(name))).toEqual(["w", "(archive)"]);
    expect((await pulled(name, { include: ["a.txt"] })).files).toEqual(["a.txt", "b.txt"]);
    const excluded = { exclude: ["application/*gzip"] };
    expect((await pulled(name, excluded)).files).toEqual(["w"]);
  });
});

test("an Ollama model is inspected by its GGUF head, its licence and its config", async () => {
  const layer = (kind: string, content: string | Uint8Array): Layer => ({
    mediaType: `application/vnd.ollama.image.${kind}`,
    content,
  });
  const head = { "general.architecture": "llama", "llama.context_length": 4096 };
  const name = await pushed({
    configType: "application/vnd.docker.container.image.v1+json",
    config: JSON.stringify({ model_format: "gguf", model_type: "8B", file_type: "Q4_0" }),
    layers: [
      layer("model", ggufFile(head, { t: [64] })),
      layer(
        "license",
        "Permission is hereby granted, free of charge, to any person obtaining a copy",
      ),
      layer("system", "Be brief."),
    ],
  });
  const { format, model, licenses } = await look(name);
  expect(format).toBe("ollama");
  expect(model).toMatchObject({ architecture: "llama", contextSize: 4096, quantization: "Q4_0" });
  expect(licenses).toEqual(["MIT"]);
  expect((await pulled(name, { include: ["*.gguf"] })).files).toEqual(["model.gguf"]);
});

test("an artifact of ORAS is chosen from by its titles", async () => {
  const titled = (title: string): Layer => ({
    mediaType: "application/vnd.oci.image.layer.v1.tar",
    content: title,
    annotations: { "org.opencontainers.image.title": title },
  });
  const name = await pushed({
    configType: "application/vnd.oci.empty.v1+json",
    layers: ["docs/a.md", "docs/b.txt", "c.md"].map(titled),
  });
  const inspection = await look(name);
  expect([inspection.format, ...names(inspection)]).toEqual([
    "oras",
    "docs/a.md",
    "docs/b.txt",
    "c.md",
  ]);
  expect((await pulled(name, { include: ["docs/*.md"] })).files).toEqual(["docs/a.md"]);
});

test("an image of a model comes whole, and tells its layers", async () => {
  const name = await pushed({
    configType: "application/vnd.oci.image.config.v1+json",
    layers: [
      {
        mediaType: OCI_LAYER,
        content: Bun.gzipSync(Uint8Array.from(tar({ name: "models/model.gguf", content: "x" }))),
      },
    ],
  });
  const inspection = await look(name);
  expect([inspection.format, ...names(inspection)]).toEqual(["image", "(image-layer)"]);
  expect((await pulled(name, { include: ["*.gguf"] })).files).toEqual(["model.gguf"]);
});
