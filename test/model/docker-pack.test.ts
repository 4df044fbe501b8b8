import { describe, expect, test } from "bun:test";
import { Failure } from "../../src/lib/failure.ts";
import { DOCKER_MMPROJ } from "../../src/model/docker.ts";
import { dockerConfig, formatCount, packDocker } from "../../src/model/docker-pack.ts";
import { ggufFacts, safetensorsFacts } from "../../src/model/facts.ts";
import { parseGgufHead } from "../../src/model/gguf.ts";
import { parseSafetensorsHeader } from "../../src/model/safetensors.ts";
import type { Digest } from "../../src/oci/digest.ts";
import { ggufFile, refusal, tensorFile } from "./fixtures.ts";

const paths = (layers: readonly { path: string }[]) => layers.map(({ path }) => path);

describe("packing a directory for Docker AI", () => {
  test("takes weights in shard order, configuration, licences, and folders of configuration", () => {
    const packing = packDocker([
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
    ]);
    expect(packing.format).toBe("safetensors");
    expect(paths(packing.weights)).toEqual([
      "model-00001-of-00002.safetensors",
      "model-00002-of-00002.safetensors",
    ]);
    expect(packing.config).toEqual([
      "README.md",
      "config.json",
      "merges.txt",
      "model.safetensors.index.json",
      "modeling_x.py",
      "tokenizer.model",
    ]);
    expect(packing.directories).toEqual([{ name: "1_Pooling", files: ["1_Pooling/config.json"] }]);
    expect(paths(packing.documents)).toEqual(["LICENSE.txt"]);
    expect(packing.leftOut).toEqual(["onnx/model.onnx", "pytorch_model.bin"]);
  });

  test("leaves out a consolidated copy of a complete set", () => {
    const packing = packDocker(["consolidated.safetensors", "model.safetensors"]);
    expect(paths(packing.weights)).toEqual(["model.safetensors"]);
    expect(packing.leftOut).toEqual(["consolidated.safetensors"]);
    expect(paths(packDocker(["consolidated.safetensors"]).weights)).toHaveLength(1);
  });

  test("takes GGUF files with their projector, template and licence", () => {
    const packing = packDocker(["m.gguf", "mmproj-f16.gguf", "chat.jinja", "LICENSE", "x.json"]);
    expect(packing.format).toBe("gguf");
    expect(packing.weights[1]).toEqual({ path: "mmproj-f16.gguf", mediaType: DOCKER_MMPROJ });
    expect(paths(packing.documents)).toEqual(["chat.jinja", "LICENSE"]);
    expect(packing.leftOut).toEqual(["x.json"]);
  });

  test("refuses names that a pull would refuse", () => {
    for (const name of ["back\\slash.json", "Config.json", "line\nbreak.json"]) {
      expect(refusal(() => packDocker(["model.safetensors", "config.json", name]))).toContain(
        "refused the path",
      );
    }
  });

  test("wants weights of one kind", () => {
    for (const files of [["config.json"], [], ["a.gguf", "a.safetensors"]]) {
      expect(() => packDocker(files)).toThrow(Failure);
    }
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
      contextSize: 9,
      size: 6000,
    });
    expect(JSON.parse(dockerConfig("safetensors", facts, ["sha256:x" as Digest]))).toEqual({
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
      parameters: 100,
      quantization: "Q4_K_M",
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
