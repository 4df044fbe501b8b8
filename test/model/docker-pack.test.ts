import { describe, expect, test } from "bun:test";
import {
  DOCKER_CHAT_TEMPLATE,
  DOCKER_CONFIG_TAR,
  DOCKER_DDUF,
  DOCKER_DIRECTORY_TAR,
  DOCKER_FILE,
  DOCKER_GGUF,
  DOCKER_LICENSE,
  DOCKER_MMPROJ,
  DOCKER_SAFETENSORS,
} from "../../src/model/docker.ts";
import { dockerPacker, formatCount, oldDockerPacker } from "../../src/model/docker-pack.ts";
import { ggufFacts, safetensorsFacts } from "../../src/model/facts.ts";
import { parseGgufHead } from "../../src/model/gguf.ts";
import { surveyModel } from "../../src/model/model-files.ts";
import type { Packer } from "../../src/model/packing.ts";
import { parseSafetensorsHeader } from "../../src/model/safetensors.ts";
import type { Digest } from "../../src/oci/digest.ts";
import { ggufFile, tensorFile, usageError } from "./fixtures.ts";

const survey = (paths: readonly string[]) => surveyModel(paths.map((path) => ({ path, size: 1 })));

/** Media types by what is in each layer. */
function pack(packer: Packer, paths: readonly string[]) {
  const { layers, leftOut } = packer.pack(survey(paths));
  return {
    layers: layers.map((layer) => [
      layer.kind === "file" ? layer.path : layer.paths,
      layer.mediaType,
    ]),
    leftOut,
  };
}

describe("packing for Docker AI v0.2", () => {
  test("makes a layer of each file, weights first, wherever it lies", () => {
    const paths = [
      "LICENSE",
      "README.md",
      "chat_template.jinja",
      "config.json",
      "model-00002-of-00002.safetensors",
      "model-00001-of-00002.safetensors",
      "modeling_x.py",
      "text_encoder/model.safetensors",
    ];
    expect(pack(dockerPacker, paths)).toEqual({
      layers: [
        ["model-00001-of-00002.safetensors", DOCKER_SAFETENSORS],
        ["model-00002-of-00002.safetensors", DOCKER_SAFETENSORS],
        ["text_encoder/model.safetensors", DOCKER_SAFETENSORS],
        ["config.json", DOCKER_FILE],
        ["chat_template.jinja", DOCKER_CHAT_TEMPLATE],
        ["modeling_x.py", DOCKER_FILE],
        ["README.md", DOCKER_FILE],
        ["LICENSE", DOCKER_LICENSE],
      ],
      leftOut: [],
    });
  });

  test("has types for GGUF, its projector, and DDUF", () => {
    expect(pack(dockerPacker, ["m.gguf", "mmproj-f16.gguf"]).layers).toEqual([
      ["m.gguf", DOCKER_GGUF],
      ["mmproj-f16.gguf", DOCKER_MMPROJ],
    ]);
    expect(pack(dockerPacker, ["m.dduf"]).layers).toEqual([["m.dduf", DOCKER_DDUF]]);
  });

  test("names each layer by its path", () => {
    expect(dockerPacker.annotations("a/b.json")).toEqual({ "org.cncf.model.filepath": "a/b.json" });
  });

  test("refuses weights that no reader of the format opens", () => {
    for (const packer of [dockerPacker, oldDockerPacker]) {
      expect(usageError(() => packer.pack(survey(["pytorch_model.bin"])))).toContain("docker");
    }
  });
});

describe("packing for Docker AI v0.1", () => {
  test("takes weights in shard order, configuration, licences, and folders of configuration", () => {
    const paths = [
      "tokenizer.model",
      "README.md",
      "model-00002-of-00002.safetensors",
      "model-00001-of-00002.safetensors",
      "model.safetensors.index.json",
      "config.json",
      "merges.txt",
      "modeling_x.py",
      "LICENSE.txt",
      "pytorch_model.bin",
      "1_Pooling/config.json",
      "onnx/model.onnx",
    ];
    expect(pack(oldDockerPacker, paths)).toEqual({
      layers: [
        ["model-00001-of-00002.safetensors", DOCKER_SAFETENSORS],
        ["model-00002-of-00002.safetensors", DOCKER_SAFETENSORS],
        [
          [
            "README.md",
            "config.json",
            "merges.txt",
            "model.safetensors.index.json",
            "modeling_x.py",
            "tokenizer.model",
          ],
          DOCKER_CONFIG_TAR,
        ],
        [["1_Pooling/config.json"], DOCKER_DIRECTORY_TAR],
        ["LICENSE.txt", DOCKER_LICENSE],
      ],
      leftOut: ["onnx/model.onnx", "pytorch_model.bin"],
    });
  });

  test("takes GGUF files with their projector, template and licence", () => {
    const paths = ["m.gguf", "mmproj-f16.gguf", "chat.jinja", "LICENSE", "x.json"];
    expect(pack(oldDockerPacker, paths)).toEqual({
      layers: [
        ["m.gguf", DOCKER_GGUF],
        ["mmproj-f16.gguf", DOCKER_MMPROJ],
        ["chat.jinja", DOCKER_CHAT_TEMPLATE],
        ["LICENSE", DOCKER_LICENSE],
      ],
      leftOut: ["x.json"],
    });
  });

  test("wants weights at the top", () => {
    expect(usageError(() => oldDockerPacker.pack(survey(["a/model.safetensors"])))).toContain(
      "at the top",
    );
  });
});

describe("the config of a Docker AI artifact", () => {
  const header = (file: Uint8Array) => {
    const length = Number(new DataView(file.buffer).getBigUint64(0, true));
    return parseSafetensorsHeader(file.subarray(8, 8 + length), file.byteLength, "a file");
  };

  test("says what safetensors and config.json say", () => {
    const config = {
      architectures: ["LlamaForCausalLM"],
      text_config: { max_position_embeddings: 9 },
    };
    const facts = safetensorsFacts([header(tensorFile({ a: 1000, b: 500 }))], config, 6000);
    expect(facts).toEqual({
      architecture: "LlamaForCausalLM",
      parameters: 1500,
      quantization: "F32",
      precision: "float32",
      contextSize: 9,
      size: 6000,
    });
    const layers = ["sha256:x" as Digest];
    expect(JSON.parse(dockerPacker.config({ format: "safetensors", facts, layers }))).toEqual({
      config: {
        format: "safetensors",
        quantization: "F32",
        parameters: "1.50K",
        architecture: "LlamaForCausalLM",
        size: "5.86KiB",
        context_size: 9,
      },
      descriptor: {},
      rootfs: { type: "rootfs", diff_ids: ["sha256:x"] },
    });
  });

  test("says what GGUF says", () => {
    const file = ggufFile(
      { "general.architecture": "llama", "general.file_type": 15, "llama.context_length": 4096 },
      { t: [10, 10] },
    );
    const head = parseGgufHead(file, file.byteLength, "a file");
    if (!head) throw new Error("unreachable");
    expect(ggufFacts([head], 77)).toEqual({
      architecture: "llama",
      family: "llama",
      parameters: 100,
      quantization: "Q4_K_M",
      method: "Q4_K_M",
      contextSize: 4096,
      size: 77,
    });
  });

  test("leaves open what nothing says", () => {
    expect(safetensorsFacts([], [], 0)).toEqual({ parameters: 0, size: 0 });
    expect(ggufFacts([], 0)).toEqual({ parameters: 0, size: 0 });
  });

  test("counts parameters as people do", () => {
    expect([405, 22_713_216, 1_100_048_384].map(formatCount)).toEqual(["405", "22.71M", "1.10B"]);
  });
});
