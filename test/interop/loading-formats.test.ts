/** A tiny model in each format of docs/formats.md, pulled by the executable and opened by an engine. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { MODELPACK_MANIFEST } from "../../src/model/modelpack.ts";
import { digestOf } from "../../src/oci/digest.ts";
import {
  DOCKER_IMAGE_CONFIG,
  DOCKER_MANIFEST,
  OCI_EMPTY,
  OCI_IMAGE_CONFIG,
  OCI_LAYER,
  OCI_UNCOMPRESSED_LAYER,
} from "../../src/oci/media-types.ts";
import { filepath } from "../model/fixtures.ts";
import {
  type ArtifactInput,
  pushArtifact,
  startWorld,
  tree,
  type World,
} from "../pull/fixtures.ts";
import { tar } from "../pull/tar.ts";
import { compiledBinary } from "../support/binary.ts";
import { requireTool, runChecked } from "../support/programs.ts";
import { temporaryDirectory } from "../support/temp.ts";
import { describeWith } from "../support/tools.ts";

const python = "ocireg-test-python";

interface SourceFile {
  readonly name: string;
  readonly content: Uint8Array;
}

type Files = readonly SourceFile[];

const KITOPS = "application/vnd.kitops.modelkit";
const OLLAMA = "application/vnd.ollama.image";
const gzip = (bytes: Uint8Array) => new Uint8Array(gzipSync(bytes));
const isWeights = ({ name }: SourceFile) => name.endsWith(".safetensors");
const only = (files: Files): SourceFile => {
  const [file] = files;
  if (!file || files.length > 1) throw new Error(`${files.length} files, want one`);
  return file;
};

/** What the programs of a format make of files. */
const packers: Readonly<Record<string, (files: Files) => ArtifactInput>> = {
  kitops(files) {
    const weights = tar(...files.filter(isWeights));
    const code = tar(...files.filter((file) => !isWeights(file)));
    const [model, packed] = [weights, gzip(code)];
    return {
      artifactType: `${KITOPS}.manifest.v1+json`,
      configType: `${KITOPS}.config.v1+json`,
      config: JSON.stringify({
        manifestVersion: "1.0.0",
        model: { name: "tiny", path: ".", digest: digestOf(model), diffId: digestOf(weights) },
        code: [{ path: ".", digest: digestOf(packed), diffId: digestOf(code) }],
      }),
      layers: [
        { mediaType: `${KITOPS}.model.v1.tar`, content: model },
        { mediaType: `${KITOPS}.code.v1.tar+gzip`, content: packed },
      ],
    };
  },
  oras: (files) => ({
    artifactType: "application/vnd.example.model",
    configType: OCI_EMPTY,
    layers: files.map(({ name, content }) => ({
      mediaType: OCI_UNCOMPRESSED_LAYER,
      content,
      annotations: { "org.opencontainers.image.title": name },
    })),
  }),
  image(files) {
    const layer = tar(...files.map(({ name, content }) => ({ name: `models/${name}`, content })));
    const rootfs = { type: "layers", diff_ids: [digestOf(layer)] };
    return {
      configType: OCI_IMAGE_CONFIG,
      config: JSON.stringify({ architecture: "amd64", os: "linux", rootfs }),
      layers: [{ mediaType: OCI_LAYER, content: gzip(layer) }],
    };
  },
  ollama: (files) => ({
    mediaType: DOCKER_MANIFEST,
    configType: DOCKER_IMAGE_CONFIG,
    config: JSON.stringify({ model_format: "gguf", model_family: "llama", os: "linux" }),
    layers: [
      { mediaType: `${OLLAMA}.model`, content: only(files).content },
      { mediaType: `${OLLAMA}.template`, content: "{{ .Prompt }}" },
    ],
  }),
  "modelpack of RamaLama": (files) => ({
    artifactType: MODELPACK_MANIFEST,
    configType: OCI_EMPTY,
    layers: [
      {
        mediaType: "application/octet-stream",
        content: only(files).content,
        annotations: filepath(only(files).name),
      },
    ],
  }),
  "image of RamaLama": (files) => ({
    configType: OCI_IMAGE_CONFIG,
    config: JSON.stringify({ architecture: "amd64", os: "linux" }),
    layers: [
      {
        mediaType: OCI_LAYER,
        content: gzip(
          tar(
            { name: `models/tiny/${only(files).name}`, content: only(files).content },
            { name: "models/model.file", type: "2", linkname: `./tiny/${only(files).name}` },
          ),
        ),
      },
    ],
  }),
};

describeWith(python, "a tiny model", () => {
  let world: World;
  const made = new Map<string, string>();
  const script = (name: string, ...words: string[]) =>
    runChecked([requireTool(python), join(import.meta.dir, name), ...words]);
  const load = async (...words: string[]) => JSON.parse(await script("load-model.py", ...words));
  const ocireg = async (...words: string[]) => runChecked([await compiledBinary(), ...words]);

  beforeAll(async () => {
    world = await startWorld();
    for (const kind of ["safetensors", "gguf"]) {
      const directory = join(temporaryDirectory(), "model");
      await script("make-model.py", kind, directory);
      made.set(kind, directory);
    }
  }, 120_000);

  afterAll(() => world?.registry.stop());

  /** Pushes the model in a format, and pulls it. */
  async function pulled(format: string, kind: string): Promise<{ format: string; path: string }> {
    const name = `tiny/${format.toLowerCase().replaceAll(" ", "-")}:${kind}`;
    const reference = `${world.registry.host}/${name}`;
    const directory = made.get(kind) ?? "";
    const pack = packers[format];
    if (pack) {
      const files = Object.keys(tree(directory)).map((path) => ({
        name: path,
        content: new Uint8Array(readFileSync(join(directory, path))),
      }));
      await pushArtifact(world, world.reference(name), pack(files));
    } else {
      await ocireg("push", "--format", format, directory, reference);
    }
    const cache = join(temporaryDirectory(), "cache");
    return JSON.parse(await ocireg("pull", "--json", reference, "--cache-dir", cache));
  }

  test.each(["modelpack", "docker", "docker-v0.1", "kitops", "oras", "image"])(
    "in the format %s is opened by safetensors and transformers",
    async (format) => {
      const result = await pulled(format, "safetensors");
      expect(result.format).toBe(format.replace("-v0.1", ""));
      expect(await load("safetensors", result.path)).toMatchObject({ tensors: 12, indexed: true });
      expect(await load("transformers", result.path)).toMatchObject({
        architectures: ["LlamaForCausalLM"],
        text: "h i !",
      });
    },
    60_000,
  );

  test.each([
    ["modelpack", "tiny.gguf"],
    ["docker", "tiny.gguf"],
    ["docker-v0.1", "tiny.gguf"],
    ["oras", "tiny.gguf"],
    ["ollama", "model.gguf"],
    ["modelpack of RamaLama", "tiny.gguf"],
    ["image of RamaLama", "model.file"],
  ])(
    "in the format %s is opened by llama.cpp",
    async (format, name) => {
      const { path } = await pulled(format, "gguf");
      expect(await load("llama", join(path, name))).toEqual({ tokens: 4 });
    },
    60_000,
  );
});
