import { describe, expect, test } from "bun:test";
import { surveyModel } from "../../src/model/model-files.ts";
import {
  formatParameterSize,
  MODELPACK_CODE,
  MODELPACK_DOCUMENT,
  MODELPACK_WEIGHT_CONFIG,
  MODELPACK_WEIGHTS,
  modelpackPacker,
} from "../../src/model/modelpack-pack.ts";
import type { Digest } from "../../src/oci/digest.ts";

const layers = [`sha256:${"a".repeat(64)}` as Digest];
const survey = (...paths: string[]) => surveyModel(paths.map((path) => ({ path, size: 1 })));

describe("packing for ModelPack", () => {
  test("makes a raw layer of each file, of the type that it has in a model", () => {
    const model = survey(
      "model.safetensors",
      "pytorch_model.bin",
      "consolidated.safetensors",
      "config.json",
      "chat_template.jinja",
      "1_Pooling/config.json",
      "modeling.py",
      "README.md",
      "LICENSE",
    );
    const packing = modelpackPacker.pack(model);
    expect(packing.layers.map((layer) => layer.kind === "file" && [layer.path, layer.mediaType]))
      // biome-ignore format: a table
      .toEqual([
      ["model.safetensors", MODELPACK_WEIGHTS],
      ["pytorch_model.bin", MODELPACK_WEIGHTS],
      ["1_Pooling/config.json", MODELPACK_WEIGHT_CONFIG],
      ["config.json", MODELPACK_WEIGHT_CONFIG],
      ["chat_template.jinja", MODELPACK_WEIGHT_CONFIG],
      ["modeling.py", MODELPACK_CODE],
      ["README.md", MODELPACK_DOCUMENT],
      ["LICENSE", MODELPACK_DOCUMENT],
    ]);
    expect(packing.leftOut).toEqual(["consolidated.safetensors"]);
  });

  test("takes weights of any kind", () => {
    expect(modelpackPacker.pack(survey("tf_model.h5")).layers).toHaveLength(1);
  });

  test("names each layer for readers of models and for those of plain artifacts", () => {
    expect(modelpackPacker.annotations("a/b")).toEqual({
      "org.cncf.model.filepath": "a/b",
      "org.opencontainers.image.title": "a/b",
    });
  });
});

describe("the config of a ModelPack", () => {
  const config = (facts: object, format: "safetensors" | undefined = "safetensors") =>
    JSON.parse(
      modelpackPacker.config({ format, facts: { parameters: 0, size: 0, ...facts }, layers }),
    );

  test("says what is known, by the keys of the specification", () => {
    const facts = {
      architecture: "LlamaForCausalLM",
      family: "llama",
      name: "Tiny",
      parameters: 6_738_415_616,
      precision: "float16",
      method: "awq",
      quantization: "I32",
      contextSize: 4096,
      licenses: ["Apache-2.0"],
      created: "2026-01-01T00:00:00Z",
    };
    expect(config(facts)).toEqual({
      descriptor: {
        createdAt: "2026-01-01T00:00:00Z",
        family: "llama",
        name: "Tiny",
        licenses: ["Apache-2.0"],
      },
      config: {
        format: "safetensors",
        architecture: "LlamaForCausalLM",
        paramSize: "6.7B",
        precision: "float16",
        quantization: "awq",
      },
      modelfs: { type: "layers", diffIds: layers },
    });
  });

  test("has its three keys when nothing is known", () => {
    const text = modelpackPacker.config({
      format: undefined,
      facts: { parameters: 0, size: 0 },
      layers,
    });
    expect(JSON.parse(text)).toEqual({
      descriptor: {},
      config: {},
      modelfs: { type: "layers", diffIds: layers },
    });
  });

  test("counts parameters with one digit after the point at most, and a unit", () => {
    expect(
      [405, 22_713_216, 8_000_000_000, 1_100_048_384, 999_960_000, 1.2e15].map(formatParameterSize),
    ).toEqual(["0.4K", "22.7M", "8B", "1.1B", "1B", "1200T"]);
  });
});
