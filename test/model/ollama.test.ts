import { describe, expect, test } from "bun:test";
import { describeModel, plan } from "../../src/model/plan.ts";
import { DOCKER_IMAGE_CONFIG } from "../../src/oci/media-types.ts";
import { imageManifest, layer, refusal, targetsOf } from "./fixtures.ts";

const part = (kind: string, content = kind) =>
  layer({ mediaType: `application/vnd.ollama.image.${kind}`, content });
const named = (kind: string, name: string) => ({ ...part(kind, name), name });
const model = (...layers: ReturnType<typeof part>[]) => imageManifest(DOCKER_IMAGE_CONFIG, layers);

describe("a model of Ollama", () => {
  test("is known by its layers, though its config is that of an image", () => {
    expect(plan(model(part("model"))).format).toBe("ollama");
  });

  test("is a GGUF file with the texts of its Modelfile beside it", () => {
    expect(
      targetsOf(
        model(
          part("model"),
          part("projector"),
          part("adapter", "1"),
          part("adapter", "2"),
          part("draft"),
          part("template"),
          part("system"),
          part("params"),
          part("messages"),
          part("license", "MIT"),
          part("license", "Apache"),
        ),
      ),
    ).toEqual([
      "model.gguf",
      "mmproj.gguf",
      "adapter-1.gguf",
      "adapter-2.gguf",
      "draft.gguf",
      "template.gotmpl",
      "system.txt",
      "params.json",
      "messages.json",
      "LICENSE",
      "LICENSE-2",
    ]);
  });

  test("may have its template under a former name", () => {
    expect(targetsOf(model(part("model"), part("prompt")))).toEqual([
      "model.gguf",
      "template.gotmpl",
    ]);
  });

  test("of several GGUF files needs their headers", () => {
    expect(targetsOf(model(part("model", "1"), part("model", "2")))).toEqual([
      "shard gguf",
      "shard gguf",
    ]);
  });

  test.each(["embed", "later", "constructor", "__proto__"])(
    "leaves out a layer of the kind %s, and says so",
    (kind) => {
      const { files, warnings } = plan(model(part("model"), part(kind)));
      expect(files).toHaveLength(1);
      expect(warnings).toEqual([expect.stringContaining(kind)]);
    },
  );

  test("of tensors is a file for each, with a warning that engines don't open it", () => {
    const manifest = model(
      named("tensor", "model.embed_tokens.weight"),
      named("tensor", "draft.layers.0"),
      named("json", "draft/config.json"),
      part("params"),
    );
    expect(targetsOf(manifest)).toEqual([
      "model.embed_tokens.weight.safetensors",
      "draft.layers.0.safetensors",
      "draft/config.json",
      "params.json",
    ]);
    expect(plan(manifest).warnings).toEqual([expect.stringContaining("layout of tensors")]);
  });

  test.each(["tensor", "json"])("is refused with a %s that has no name or a bad one", (kind) => {
    expect(refusal(() => plan(model(part(kind))))).toContain("has no name");
    refusal(() => plan(model(named(kind, "../x"))));
  });

  test("is described by its config", () => {
    const config = {
      model_format: "gguf",
      model_family: "llama",
      model_families: ["llama"],
      model_type: "8B",
      file_type: "Q4_0",
      context_length: 4096,
      base_name: "tiny",
      os: "linux",
    };
    const bytes = new TextEncoder().encode(JSON.stringify(config));
    expect(describeModel(model(part("model")), bytes)).toEqual({
      format: "gguf",
      architecture: "llama",
      parameters: "8B",
      quantization: "Q4_0",
      contextSize: 4096,
      name: "tiny",
    });
  });
});
