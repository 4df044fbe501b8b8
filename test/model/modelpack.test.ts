import { describe, expect, test } from "bun:test";
import { MODELPACK_CONFIG, MODELPACK_MANIFEST } from "../../src/model/modelpack.ts";
import { describeModel, plan } from "../../src/model/plan.ts";
import { digestOf } from "../../src/oci/digest.ts";
import { OCI_EMPTY } from "../../src/oci/media-types.ts";
import { filepath, imageManifest, type LayerInput, layer, refusal, targetsOf } from "./fixtures.ts";

const pack = (...inputs: LayerInput[]) =>
  imageManifest(MODELPACK_CONFIG, inputs.map(layer), MODELPACK_MANIFEST);
const raw = (name: string): LayerInput => ({
  mediaType: "application/vnd.cncf.model.weight.v1.raw",
  content: name,
  annotations: filepath(name),
});
const json = (value: unknown) => new TextEncoder().encode(JSON.stringify(value));

describe("a ModelPack artifact", () => {
  test.each([
    [MODELPACK_MANIFEST, OCI_EMPTY],
    ["application/vnd.cnai.model.manifest.v1+json", OCI_EMPTY],
    [undefined, MODELPACK_CONFIG],
    [undefined, "application/vnd.cnai.model.config.v1+json"],
  ])("is known by the artifact type %p and the config type %p", (artifactType, configType) => {
    const manifest = imageManifest(configType, [layer({ mediaType: "a/b" })], artifactType);
    expect(plan(manifest).format).toBe("modelpack");
  });

  test.each(["cncf", "cnai"])("is known by layers of the vendor %p", (vendor) => {
    const mediaType = `application/vnd.${vendor}.model.doc.v1.raw`;
    expect(plan(imageManifest(OCI_EMPTY, [layer({ mediaType })])).format).toBe("modelpack");
  });

  test("is its raw layers by their paths, whatever they hold", () => {
    expect(
      targetsOf(
        pack(
          raw("model-00001-of-00002.safetensors"),
          { ...raw("config.json"), mediaType: "application/vnd.cncf.model.weight.config.v1.raw" },
          {
            mediaType: "application/vnd.cnai.model.code.v1.raw",
            annotations: { "org.cnai.model.filepath": "src/run.py" },
          },
          {
            mediaType: "application/vnd.cncf.model.dataset.v1.raw",
            annotations: {
              "org.cnai.model.file.metadata": '{"name":"data/a.csv","mode":420,"typeflag":48}',
              "org.opencontainers.image.title": "no",
            },
          },
        ),
      ),
    ).toEqual(["model-00001-of-00002.safetensors", "config.json", "src/run.py", "data/a.csv"]);
  });

  test.each([
    ["application/vnd.cncf.model.weight.v1.tar", "archive none"],
    ["application/vnd.cncf.model.weight.config.v1.tar+gzip", "archive gzip"],
    ["application/vnd.cnai.model.doc.v1.tar+zstd", "archive zstd"],
    ["application/vnd.cnai.model.layer.v1.tar", "archive none"],
    ["application/vnd.cnai.model.layer.v1.tar+gzip", "archive gzip"],
  ])("unpacks a layer of type %s, whatever its path is", (mediaType, expected) => {
    expect(targetsOf(pack({ mediaType, annotations: filepath("some/folder") }))).toEqual([
      expected,
    ]);
  });

  test("needs the content of a layer without a path", () => {
    expect(
      targetsOf(
        pack(
          { mediaType: "application/vnd.cncf.model.weight.v1.raw" },
          { mediaType: "application/vnd.cncf.model.weight.v1.gguf" },
          { mediaType: "application/vnd.cncf.model.weight.v1.safetensors" },
        ),
      ),
    ).toEqual(["unnamed", "shard gguf", "shard safetensors"]);
  });

  test("unpacks the archives that another format left under the type of a file", () => {
    const mediaType = "application/vnd.cncf.model.weight.config.v1.raw";
    expect(
      targetsOf(
        pack(
          { mediaType, content: "1", annotations: filepath("vllm-config-1234.tar") },
          { mediaType, content: "2", annotations: filepath("dir-tar-99.tar") },
          { mediaType, content: "3", annotations: filepath("data/dir-tar-99.tar") },
        ),
      ),
    ).toEqual(["archive none", "archive none", "data/dir-tar-99.tar"]);
  });

  test("of RamaLama or podman has sniffed types, a hash as title and an empty config", () => {
    const artifact = imageManifest(
      OCI_EMPTY,
      [
        layer({
          mediaType: "application/octet-stream",
          annotations: {
            ...filepath("tiny.gguf"),
            "org.opencontainers.image.title": `sha256-${"0".repeat(64)}`,
            "org.cncf.model.file.mediatype.untested": "true",
          },
        }),
        layer({
          mediaType: "text/plain; charset=utf-8",
          annotations: { "org.cncf.model.file.metadata+json": '{"name":"chat_template"}' },
        }),
      ],
      MODELPACK_MANIFEST,
    );
    expect(targetsOf(artifact, {})).toEqual(["tiny.gguf", "chat_template"]);
  });

  test.each(["../x", "/x", "a/../../x"])("is refused with the path %p", (path) => {
    expect(refusal(() => targetsOf(pack(raw(path))))).toContain(JSON.stringify(path));
  });

  test.each(["diffIds", "diff_ids"])("has its archives checked against %s", (key) => {
    const manifest = pack(raw("a"), {
      mediaType: "application/vnd.cncf.model.weight.v1.tar+gzip",
    });
    const diffIds = [digestOf("a"), digestOf("b")];
    const { files } = plan(manifest, json({ modelfs: { type: "layers", [key]: diffIds } }));
    expect(files.map(({ diffId }) => diffId)).toEqual([undefined, digestOf("b")]);
    const wrong = json({ modelfs: { [key]: [digestOf("x"), digestOf("b")] } });
    expect(refusal(() => plan(manifest, wrong))).toContain(digestOf("a"));
    plan(manifest, json({ modelfs: { [key]: [digestOf("x")] } }));
  });

  test("is described by its config, by the keys of every version", () => {
    const about = (config: unknown) => describeModel(pack(raw("a")), json(config));
    expect(
      about({
        descriptor: { name: "x", createdAt: "2026-01-01T00:00:00Z", licenses: ["MIT", 1] },
        config: {
          architecture: "transformer",
          format: "safetensors",
          paramSize: "6.7B",
          precision: "bfloat16",
          quantization: "awq",
        },
      }),
    ).toEqual({
      name: "x",
      created: "2026-01-01T00:00:00Z",
      licenses: ["MIT"],
      architecture: "transformer",
      format: "safetensors",
      parameters: "6.7B",
      precision: "bfloat16",
      quantization: "awq",
    });
    expect(about({ config: { parameterSize: "8b", puantization: "gptq" } })).toEqual({
      parameters: "8b",
      quantization: "gptq",
    });
    expect(about([])).toEqual({});
  });
});
