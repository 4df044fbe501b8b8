import { describe, expect, test } from "bun:test";
import {
  type FileKind,
  isNoise,
  kindOf,
  shardOf,
  splitsOf,
  surveyModel,
} from "../../src/model/model-files.ts";
import { refusal, usageError } from "./fixtures.ts";

const survey = (...paths: string[]) => surveyModel(paths.map((path) => ({ path, size: 1 })));

describe("the kind of a file", () => {
  test.each([
    ["weights", "model.safetensors", "m.gguf", "pytorch_model.bin", "a/model.onnx", "x.dduf"],
    ["projector", "mmproj-model-f16.gguf", "model.mmproj-F16.gguf"],
    ["config", "config.json", "tokenizer.model", "vocab.txt", "merges.txt", "x.tiktoken", "odd"],
    ["template", "chat_template.jinja", "additional/tool_use.jinja"],
    ["code", "modeling_x.py", "run.sh"],
    ["document", "README.md", "notes.txt", "figure.PNG", "README"],
    ["license", "LICENSE", "LICENCE.md", "COPYING", "NOTICE.txt", "license-llama.txt"],
  ] as [FileKind, ...string[]][])("%s", (kind, ...paths) => {
    for (const path of paths) expect([path, kindOf({ path, size: 1 })]).toEqual([path, kind]);
  });

  test("of a name that says nothing is told by its size", () => {
    expect(kindOf({ path: "model.data", size: 1e9 })).toBe("weights");
    expect(kindOf({ path: "model.data", size: 1000 })).toBe("config");
  });
});

describe("noise", () => {
  test("is what no loader reads: hidden, compiled, half-written", () => {
    for (const name of [
      ".gitattributes",
      ".cache",
      ".DS_Store",
      "__pycache__",
      "x.cpython-312.pyc",
      "model.safetensors.incomplete",
      "notes.md~",
      "Thumbs.db",
      "desktop.ini",
    ]) {
      expect([name, isNoise(name)]).toEqual([name, true]);
    }
    for (const name of ["config.json", "a.b", "py", "x.python", "tmp"]) {
      expect([name, isNoise(name)]).toEqual([name, false]);
    }
  });
});

describe("a survey of a model", () => {
  test("has weights first, then what loaders read, then what people read, each by name", () => {
    const { files, format, weights, copies } = survey(
      "README.md",
      "LICENSE",
      "b.py",
      "tokenizer.json",
      "config.json",
      "chat_template.jinja",
      "model-00002-of-00002.safetensors",
      "model-00001-of-00002.safetensors",
    );
    expect(files.map(({ path }) => path)).toEqual([
      "model-00001-of-00002.safetensors",
      "model-00002-of-00002.safetensors",
      "config.json",
      "tokenizer.json",
      "chat_template.jinja",
      "b.py",
      "README.md",
      "LICENSE",
    ]);
    expect(format).toBe("safetensors");
    expect(weights).toHaveLength(2);
    expect(copies).toEqual([]);
  });

  test("leaves out a consolidated copy of a complete set", () => {
    const { copies, weights } = survey("consolidated.safetensors", "model.safetensors");
    expect({ copies, weights }).toEqual({
      copies: ["consolidated.safetensors"],
      weights: ["model.safetensors"],
    });
    expect(survey("consolidated.safetensors").weights).toEqual(["consolidated.safetensors"]);
  });

  test("describes a model by the weights at its top, else by those in its folders", () => {
    expect(survey("model.safetensors", "onnx/model.onnx", "old/x.safetensors").weights).toEqual([
      "model.safetensors",
    ]);
    expect(survey("unet/x.safetensors", "vae/x.safetensors").weights).toHaveLength(2);
  });

  test("takes of several GGUF models the first, with all of its shards", () => {
    expect(survey("q4.gguf", "q8.gguf").weights).toEqual(["q4.gguf"]);
    const shards = ["q4-00001-of-00002.gguf", "q4-00002-of-00002.gguf"];
    expect(survey("mmproj.gguf", ...shards, "q8-00001-of-00002.gguf")).toMatchObject({
      format: "gguf",
      weights: shards,
    });
  });

  test("knows other weights by their names", () => {
    expect(survey("pytorch_model.bin").format).toBe("pt");
    expect(survey("onnx/model.onnx").format).toBe("onnx");
    expect(survey("m.dduf").format).toBe("dduf");
    expect(survey("tf_model.h5").format).toBeUndefined();
  });

  test("wants weights, and of one kind", () => {
    expect(usageError(() => survey("config.json"))).toContain("no weights");
    expect(usageError(() => survey())).toContain("no weights");
    expect(usageError(() => survey("mmproj.gguf"))).toContain("no weights");
    expect(usageError(() => survey("a.gguf", "a.safetensors"))).toContain("push one kind");
  });

  test("refuses names that a pull would refuse", () => {
    for (const name of ["back\\slash.json", "Config.json", "line\nbreak.json"]) {
      expect(refusal(() => survey("model.safetensors", "config.json", name))).toContain(
        "refused the path",
      );
    }
  });
});

describe("shards", () => {
  test("belong together by stem, count and extension", () => {
    const names = [
      "m-00001-of-00002.gguf",
      "m-00002-of-00002.gguf",
      "m-00001-of-00003.gguf",
      "other-00001-of-00002.gguf",
      "m-00002-of-00002.safetensors",
    ];
    expect(splitsOf(names[0] ?? "", names)).toEqual(names.slice(0, 2));
    expect(splitsOf("single.gguf", [...names, "single.gguf"])).toEqual(["single.gguf"]);
    expect(shardOf("m-00001-of-00003.gguf")?.count).toBe(3);
    expect(shardOf("m.gguf")).toBeUndefined();
  });
});
