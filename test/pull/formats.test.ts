/** Artifacts as the programs of each format write them, by way of a registry to a directory. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { join } from "node:path";
import { MODELPACK_CONFIG, MODELPACK_MANIFEST } from "../../src/model/modelpack.ts";
import { digestOf } from "../../src/oci/digest.ts";
import {
  DOCKER_IMAGE_CONFIG,
  DOCKER_LAYER,
  DOCKER_MANIFEST,
  OCI_ARTIFACT_MANIFEST,
  OCI_EMPTY,
  OCI_IMAGE_CONFIG,
  OCI_LAYER,
  OCI_UNCOMPRESSED_LAYER,
} from "../../src/oci/media-types.ts";
import { pull } from "../../src/pull/pull.ts";
import { filepath, ggufFile, tensorFile } from "../model/fixtures.ts";
import { temporaryDirectory } from "../support/temp.ts";
import {
  type ArtifactInput,
  contents,
  failureOf,
  type Layer,
  pushArtifact,
  startWorld,
  tree,
  treeIfThere,
  type World,
} from "./fixtures.ts";
import { tar } from "./tar.ts";

let world: World;
let artifacts = 0;

beforeAll(async () => {
  world = await startWorld();
});

afterAll(() => world.registry.stop());

const text = (bytes: Uint8Array) => Buffer.from(bytes).toString("latin1");
const title = (name: string) => ({ "org.opencontainers.image.title": name });
const file = (name: string, content = name) => ({ name, content });

/** Pushes an artifact under a name of its own. */
async function pushed(artifact: ArtifactInput): Promise<string> {
  const name = `formats/artifact-${++artifacts}:v1`;
  await pushArtifact(world, world.reference(name), artifact);
  return name;
}

/** What a pull shows of an artifact: the same in the cache and in a directory. */
async function pulled(name: string): Promise<{ format: string; files: Record<string, string> }> {
  const { client } = world;
  const cache = world.newCache();
  const reference = world.reference(name);
  const output = join(temporaryDirectory(), "out");
  const viewed = await pull({ reference, client, cache });
  const placed = await pull({ reference, client, cache: world.newCache(), output });
  expect(placed.format).toBe(viewed.format);
  const files = contents(viewed.path);
  const { ".ocireg/oci_metadata.json": _, ...shown } = contents(output);
  expect(shown).toEqual(files);
  // A second pull finds that nothing is missing.
  const before = world.sent.bytes;
  expect(await pull({ reference, client, cache })).toEqual(viewed);
  expect(world.sent.bytes).toBe(before);
  return { format: viewed.format, files };
}

async function pulledFiles(artifact: ArtifactInput): Promise<Record<string, string>> {
  return (await pulled(await pushed(artifact))).files;
}

/** The message with which a pull is refused; nothing of the artifact is shown then. */
async function refused(artifact: ArtifactInput): Promise<string> {
  const reference = world.reference(await pushed(artifact));
  const output = join(temporaryDirectory(), "out");
  const { client } = world;
  const pulling = pull({ reference, client, cache: world.newCache(), output });
  const { message } = await failureOf(pulling, "content");
  expect(Object.keys(treeIfThere(output)).filter((path) => !path.startsWith(".ocireg/"))).toEqual(
    [],
  );
  return message;
}

describe("a ModelPack artifact", () => {
  const pack = (vendor: "cncf" | "cnai", ...layers: Layer[]): ArtifactInput => ({
    artifactType: `application/vnd.${vendor}.model.manifest.v1+json`,
    configType: `application/vnd.${vendor}.model.config.v1+json`,
    config: JSON.stringify({
      descriptor: { name: "tiny" },
      config: { format: "safetensors" },
      modelfs: { type: "layers", diffIds: layers.map(({ content }) => digestOf(content)) },
    }),
    layers,
  });
  const raw = (path: string, content: string | Uint8Array = path): Layer => ({
    mediaType: "application/vnd.cncf.model.weight.v1.raw",
    content,
    annotations: filepath(path),
  });

  test("is its raw layers and its archives", async () => {
    const name = await pushed(
      pack("cncf", raw("model.safetensors", tensorFile({ a: 4 })), raw("config.json", "{}"), {
        mediaType: "application/vnd.cncf.model.doc.v1.tar",
        content: tar(file("README.md"), file("docs/a.txt")),
        annotations: filepath("docs"),
      }),
    );
    expect(await pulled(name)).toEqual({
      format: "modelpack",
      files: {
        "model.safetensors": text(tensorFile({ a: 4 })),
        "config.json": "{}",
        "README.md": "README.md",
        "docs/a.txt": "docs/a.txt",
      },
    });
  });

  test("under its former names may have compressed archives", async () => {
    const weights = tar(file("model.gguf"));
    const code = tar(file("run.py"), file("lib/a.py"));
    const layers: Layer[] = [
      { mediaType: "application/vnd.cnai.model.weight.v1.tar", content: weights },
      {
        mediaType: "application/vnd.cnai.model.code.v1.tar+gzip",
        content: Bun.gzipSync(Uint8Array.from(code)),
      },
      {
        mediaType: "application/vnd.cnai.model.doc.v1.tar+zstd",
        content: Bun.zstdCompressSync(tar(file("README"))),
      },
    ];
    const diffIds = [weights, code, tar(file("README"))].map((content) => digestOf(content));
    const artifact = {
      ...pack("cnai", ...layers),
      config: JSON.stringify({ modelfs: { diff_ids: diffIds } }),
    };
    expect(Object.keys(await pulledFiles(artifact))).toEqual([
      "README",
      "lib/a.py",
      "model.gguf",
      "run.py",
    ]);
    const wrong = JSON.stringify({ modelfs: { diff_ids: [diffIds[0], diffIds[0], diffIds[2]] } });
    expect(await refused({ ...artifact, config: wrong })).toContain(
      digestOf(layers[1]?.content ?? ""),
    );
  });

  test("without names has them from the content of its layers, with an index", async () => {
    const nameless = (content: Uint8Array): Layer => ({
      mediaType: "application/vnd.cncf.model.weight.v1.raw",
      content,
    });
    const [first, second] = [tensorFile({ a: 1, b: 2 }), tensorFile({ c: 3 })];
    const files = await pulledFiles(
      pack("cncf", nameless(first), nameless(tar(file("config.json", "{}"))), nameless(second)),
    );
    const { "model.safetensors.index.json": index = "", ...others } = files;
    expect(others).toEqual({
      "config.json": "{}",
      "model-00001-of-00002.safetensors": text(first),
      "model-00002-of-00002.safetensors": text(second),
    });
    expect(JSON.parse(index)).toEqual({
      metadata: { total_size: 24 },
      weight_map: {
        a: "model-00001-of-00002.safetensors",
        b: "model-00001-of-00002.safetensors",
        c: "model-00002-of-00002.safetensors",
      },
    });
  });

  test("without names may be shards of GGUF, in any order", async () => {
    const shard = (no: number) => ggufFile({ "split.no": no, "split.count": 2 });
    const layers = [shard(1), shard(0)].map(
      (content): Layer => ({ mediaType: "application/vnd.cnai.model.weight.v1.gguf", content }),
    );
    expect(await pulledFiles(pack("cnai", ...layers))).toEqual({
      "model-00001-of-00002.gguf": text(shard(0)),
      "model-00002-of-00002.gguf": text(shard(1)),
    });
  });

  test("without names is refused when its content doesn't tell them either", async () => {
    const content = "just a text";
    const mediaType = "application/vnd.cncf.model.doc.v1.raw";
    const message = await refused(pack("cncf", raw("a"), { mediaType, content }));
    expect(message).toContain(digestOf(content));
  });

  test("unpacks the archives of the format that it was converted from", async () => {
    const mediaType = "application/vnd.cncf.model.weight.config.v1.raw";
    const files = await pulledFiles(
      pack(
        "cncf",
        raw("model.gguf"),
        {
          mediaType,
          content: tar(file("config.json")),
          annotations: filepath("vllm-config-17.tar"),
        },
        { mediaType, content: tar(file("onnx/a.onnx")) },
      ),
    );
    expect(Object.keys(files)).toEqual(["config.json", "model.gguf", "onnx/a.onnx"]);
  });

  test("gets the index that its named shards lack", async () => {
    const shards = [tensorFile({ a: 1 }), tensorFile({ b: 1 })];
    const names = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"];
    const layers = shards.map((content, i) => raw(names[i] ?? "", content));
    const files = await pulledFiles(pack("cncf", ...layers, raw("config.json", "{}")));
    expect(JSON.parse(files["model.safetensors.index.json"] ?? "").weight_map).toEqual({
      a: names[0],
      b: names[1],
    });
    expect(await pulledFiles(pack("cncf", ...layers))).not.toHaveProperty([
      "model.safetensors.index.json",
    ]);
  });

  test("is refused when its index names shards that aren't there, or files outside", async () => {
    const [first, second] = [
      "model-00001-of-00002.safetensors",
      "model-00002-of-00002.safetensors",
    ];
    const index = (b: string) =>
      raw("model.safetensors.index.json", JSON.stringify({ weight_map: { a: first, b } }));
    const weights = raw(first, tensorFile({ a: 1 }));
    expect(await refused(pack("cncf", weights, index(second)))).toContain(second);
    expect(await refused(pack("cncf", weights, index("../x")))).toContain('"../x"');
    const quantized = raw("model.safetensors", tensorFile({ a: 1 }));
    expect(await pulledFiles(pack("cncf", quantized, index(second)))).toContainKey(
      "model.safetensors",
    );
    expect(await pulledFiles(pack("cncf", raw("model.gguf"), index(second)))).toContainKey(
      "model.gguf",
    );
    const whole = pack("cncf", weights, raw(second, tensorFile({ b: 1 })), index(second));
    const reference = world.reference(await pushed(whole));
    const { client } = world;
    const include = [first, "*.json"];
    const { path } = await pull({ reference, client, cache: world.newCache(), include });
    expect(Object.keys(contents(path))).toHaveLength(2);
  });

  test("leaves out a consolidated copy that is in an archive", async () => {
    const files = await pulledFiles(
      pack("cncf", {
        mediaType: "application/vnd.cncf.model.weight.v1.tar",
        content: tar(
          file("consolidated.safetensors"),
          file("model.safetensors"),
          file("config.json"),
        ),
      }),
    );
    expect(Object.keys(files)).toEqual(["config.json", "model.safetensors"]);
  });

  test("has a consolidated copy for who asks for it by name, beside what is there", async () => {
    const names = ["config.json", "consolidated.safetensors", "model.safetensors"];
    const name = await pushed(pack("cncf", ...names.map((path) => raw(path))));
    expect(Object.keys((await pulled(name)).files)).toEqual(["config.json", "model.safetensors"]);
    const cache = world.newCache();
    const output = join(temporaryDirectory(), "out");
    const shown = async (include: string[]) => {
      const options = { reference: world.reference(name), client: world.client, include };
      await pull({ ...options, cache, output });
      const { path } = await pull({ ...options, cache });
      return [Object.keys(contents(path)), Object.keys(tree(output))];
    };
    const ours = ".ocireg/oci_metadata.json";
    const usual = ["config.json", "model.safetensors"];
    expect(await shown([])).toEqual([usual, [ours, ...usual]]);
    expect(await shown(["*.safetensors"])).toEqual([usual, [ours, ...usual]]);
    expect(await shown(["*", "consolidated*"])).toEqual([names, [ours, ...names]]);
    expect(await shown([])).toEqual([names, [ours, ...names]]);
  });

  test("of RamaLama or podman is its files", async () => {
    const artifact: ArtifactInput = {
      artifactType: MODELPACK_MANIFEST,
      configType: OCI_EMPTY,
      layers: [
        {
          mediaType: "application/octet-stream",
          content: ggufFile({}),
          annotations: { ...filepath("tiny.gguf"), ...title(`sha256-${"0".repeat(64)}`) },
        },
        {
          mediaType: "text/plain; charset=utf-8",
          content: "{{ x }}",
          annotations: {
            "org.cncf.model.file.metadata+json": '{"name":"chat_template","typeflag":48}',
            ...title(`sha256-${"1".repeat(64)}`),
          },
        },
      ],
    };
    expect(await pulled(await pushed(artifact))).toEqual({
      format: "modelpack",
      files: { "tiny.gguf": text(ggufFile({})), chat_template: "{{ x }}" },
    });
  });

  test("is refused when two of its files have names that differ only in case", async () => {
    const artifact: ArtifactInput = {
      configType: MODELPACK_CONFIG,
      layers: [raw("README.md"), raw("readme.MD")],
    };
    expect(await refused(artifact)).toContain("collides");
  });
});

describe("a ModelKit", () => {
  const PREFIX = "application/vnd.kitops.modelkit.";
  const kit = (config: unknown, ...layers: Layer[]): ArtifactInput => ({
    artifactType: `${PREFIX}manifest.v1+json`,
    configType: `${PREFIX}config.v1+json`,
    config: JSON.stringify(config),
    layers,
  });
  const layer = (type: string, content: string | Uint8Array): Layer => ({
    mediaType: `${PREFIX}${type}`,
    content,
  });

  test("is its archives and files, and its Kitfile", async () => {
    const model = tar({ name: "models/", type: "5" }, file("models/w.gguf"));
    const code = tar(file("src/run.py"));
    const layers = [
      layer("model.v1.tar", model),
      layer("code.v1.tar+gzip", Bun.gzipSync(Uint8Array.from(code))),
      { ...layer("docs.v1.raw", "# Tiny"), annotations: filepath("README.md") },
      layer("dataset.v1.raw+gzip", Bun.gzipSync("a,b\n")),
      layer("dataset.v1.raw+zstd", Bun.zstdCompressSync("c,d\n")),
    ];
    const [w, c, d, g, z] = layers.map(({ content }) => digestOf(content));
    const config = {
      manifestVersion: "1.0.0",
      model: { name: "tiny", path: "models/w.gguf", digest: w, diffId: digestOf(model) },
      code: [{ path: "src", digest: c, diffId: digestOf(code) }],
      datasets: [
        { path: "data/a.csv", digest: g, diffId: digestOf("a,b\n") },
        { path: "data/c.csv", digest: z, diffId: digestOf("c,d\n") },
      ],
      docs: [{ path: "README.md", digest: d, diffId: d }],
    };
    expect(await pulled(await pushed(kit(config, ...layers)))).toEqual({
      format: "kitops",
      files: {
        "models/w.gguf": "models/w.gguf",
        "src/run.py": "src/run.py",
        "data/a.csv": "a,b\n",
        "data/c.csv": "c,d\n",
        "README.md": "# Tiny",
        Kitfile: [
          'manifestVersion: "1.0.0"',
          "model:",
          "  name: tiny",
          "  path: models/w.gguf",
          "code:",
          "  - path: src",
          "datasets:",
          "  - path: data/a.csv",
          "  - path: data/c.csv",
          "docs:",
          "  - path: README.md",
          "",
        ].join("\n"),
      },
    });
    const [first, ...others] = config.datasets;
    const wrong = { ...config, datasets: [{ ...first, diffId: digestOf("x") }, ...others] };
    expect(await refused(kit(wrong, ...layers))).toContain(g ?? "");
  });

  test("of an early version has its archives beside the paths of its Kitfile", async () => {
    const files = await pulledFiles(
      kit(
        { model: { path: "./models/tiny/w.gguf" }, docs: [{ path: "README.md" }] },
        layer("model.v1.tar+gzip", Bun.gzipSync(Uint8Array.from(tar(file("w.gguf"))))),
        layer("docs.v1.tar+gzip", Bun.gzipSync(Uint8Array.from(tar(file("README.md"))))),
      ),
    );
    expect(Object.keys(files)).toEqual(["Kitfile", "README.md", "models/tiny/w.gguf"]);
  });

  describe("that refers to another one", () => {
    const named = (name: string) => `${world.registry.host}/${name}`;
    const base = () =>
      pushed(
        kit(
          { model: { path: "w.gguf" } },
          layer("model.v1.tar", tar(file("w.gguf"))),
          layer("modelpart.v1.tar", tar(file("lora.gguf"))),
          layer("code.v1.tar", tar(file("theirs.py"))),
        ),
      );
    const child = (parent: string, ...layers: Layer[]) =>
      kit({ model: { path: parent } }, ...layers);

    test("has the model of that, and nothing else of it", async () => {
      const parent = named(await base());
      const between = named(await pushed(child(parent)));
      const { files } = await pulled(
        await pushed(child(between, layer("code.v1.tar", tar(file("ours.py"))))),
      );
      expect(Object.keys(files)).toEqual(["Kitfile", "lora.gguf", "ours.py", "w.gguf"]);
      expect(files["Kitfile"]).toBe(`model:\n  path: ${JSON.stringify(between)}\n`);
    });

    test("is refused when they go round in a circle", async () => {
      const name = named(`formats/artifact-${artifacts + 1}:v1`);
      expect(await refused(child(name))).toContain("itself");
    });

    test("is refused beyond ten others", async () => {
      let name = await base();
      for (let i = 0; i < 10; i++) name = await pushed(child(named(name)));
      expect(await refused(child(named(name)))).toContain("more than 10");
    });

    test("is refused when that is of another format, or is none", async () => {
      const other = await pushed({ layers: [{ mediaType: "a/b", content: "x" }] });
      expect(await refused(child(named(other)))).toContain("unknown");
      expect(await refused(child("not a reference: at all"))).toContain("not a reference");
    });
  });
});

describe("a model of Ollama", () => {
  const model = (...layers: Layer[]): ArtifactInput => ({
    mediaType: DOCKER_MANIFEST,
    configType: DOCKER_IMAGE_CONFIG,
    config: JSON.stringify({ model_format: "gguf", model_family: "llama", os: "linux" }),
    layers,
  });
  const part = (kind: string, content: string | Uint8Array, name?: string): Layer => ({
    mediaType: `application/vnd.ollama.image.${kind}`,
    content,
    ...(name !== undefined && { name }),
  });

  test("is a GGUF file with its texts beside it", async () => {
    const weights = ggufFile({ "general.architecture": "llama" });
    const artifact = model(
      part("model", weights),
      part("template", "{{ .Prompt }}"),
      part("params", '{"stop":["x"]}'),
      part("license", "MIT"),
    );
    expect(await pulled(await pushed(artifact))).toEqual({
      format: "ollama",
      files: {
        "model.gguf": text(weights),
        "template.gotmpl": "{{ .Prompt }}",
        "params.json": '{"stop":["x"]}',
        LICENSE: "MIT",
      },
    });
  });

  test("of tensors is a file for each", async () => {
    const files = await pulledFiles(
      model(
        part("tensor", tensorFile({ a: 1 }), "model.a.weight"),
        part("json", "{}", "config.json"),
      ),
    );
    expect(files).toEqual({
      "model.a.weight.safetensors": text(tensorFile({ a: 1 })),
      "config.json": "{}",
    });
  });
});

describe("what ORAS pushes", () => {
  const titled = (name: string, mediaType = OCI_UNCOMPRESSED_LAYER): Layer => ({
    mediaType,
    content: name,
    annotations: title(name),
  });
  const folder = (name: string, archive: Uint8Array, digest = digestOf(archive)): Layer => ({
    mediaType: OCI_LAYER,
    content: Bun.gzipSync(Uint8Array.from(archive)),
    annotations: {
      ...title(name),
      "io.deis.oras.content.unpack": "true",
      "io.deis.oras.content.digest": digest,
    },
  });

  test("is its files and directories", async () => {
    const artifact: ArtifactInput = {
      configType: OCI_EMPTY,
      artifactType: "application/vnd.unknown.artifact.v1",
      layers: [
        titled("model.gguf"),
        folder("weights", tar({ name: "weights", type: "5" }, file("weights/sub/a.bin"))),
      ],
    };
    expect(await pulled(await pushed(artifact))).toEqual({
      format: "oras",
      files: { "model.gguf": "model.gguf", "weights/sub/a.bin": "weights/sub/a.bin" },
    });
  });

  test("may be an artifact manifest", async () => {
    const artifact = { mediaType: OCI_ARTIFACT_MANIFEST, layers: [titled("a.txt", "text/plain")] };
    expect(await pulledFiles(artifact)).toEqual({ "a.txt": "a.txt" });
  });

  test("is refused when an archive has more than its directory, or other content", async () => {
    const layers = [folder("weights", tar(file("weights/a"), file("weights2/b")))];
    expect(await refused({ configType: OCI_EMPTY, layers })).toContain("weights2/b");
    const wrong = [folder("weights", tar(file("weights/a")), digestOf("x"))];
    expect(await refused({ configType: OCI_EMPTY, layers: wrong })).toContain(digestOf("x"));
  });
});

describe("a container image", () => {
  const image = (types: string[], ...archives: Uint8Array[]): ArtifactInput => ({
    configType: OCI_IMAGE_CONFIG,
    config: JSON.stringify({
      architecture: "amd64",
      os: "linux",
      rootfs: { type: "layers", diff_ids: archives.map((archive) => digestOf(archive)) },
    }),
    layers: archives.map((archive, i) => ({
      mediaType: types[i] ?? OCI_LAYER,
      content:
        types[i] === OCI_UNCOMPRESSED_LAYER ? archive : Bun.gzipSync(Uint8Array.from(archive)),
    })),
  });

  test("is what its layers leave in /models", async () => {
    const artifact = image(
      [OCI_UNCOMPRESSED_LAYER, OCI_LAYER, DOCKER_LAYER],
      tar(file("etc/passwd"), file("models/old.bin"), file("models/config.json", "old")),
      tar(file("models/.wh.old.bin", ""), file("models/config.json", "new")),
      tar(file("models/model.safetensors"), file("bin/sh")),
    );
    expect(await pulled(await pushed(artifact))).toEqual({
      format: "image",
      files: { "config.json": "new", "model.safetensors": "models/model.safetensors" },
    });
  });

  test("of RamaLama has its model under a second name", async () => {
    const archive = tar(
      { name: "models/", type: "5" },
      { name: "models/tiny/", type: "5" },
      file("models/tiny/tiny.gguf"),
      { name: "models/model.file", type: "2", linkname: "./tiny/tiny.gguf" },
    );
    expect(await pulledFiles(image([OCI_LAYER], archive))).toEqual({
      "tiny/tiny.gguf": "models/tiny/tiny.gguf",
      "model.file": "models/tiny/tiny.gguf",
    });
  });

  test("without /models is refused", async () => {
    expect(await refused(image([OCI_LAYER], tar(file("bin/sh"))))).toContain("models");
  });
});
