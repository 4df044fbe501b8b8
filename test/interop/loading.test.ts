/**
 * Models that the formats' own libraries made, pushed, pulled, and opened by the programs that people
 * use: safetensors, transformers, huggingface_hub, gguf, llama.cpp.
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { join } from "node:path";
import { compiledBinary } from "../support/binary.ts";
import { requireTool, runChecked } from "../support/programs.ts";
import { type Serving, startServing } from "../support/serving.ts";
import { temporaryDirectory } from "../support/temp.ts";
import { describeWith } from "../support/tools.ts";

/** A Python that has these libraries; `.ci/run` makes it. */
const python = "ocireg-test-python";

async function script(name: string, words: readonly string[], env = {}): Promise<string> {
  return runChecked([requireTool(python), join(import.meta.dir, name), ...words], { env });
}

async function load(words: readonly string[], env = {}): Promise<Record<string, unknown>> {
  return JSON.parse(await script("load-model.py", words, env));
}

describeWith(python, "a tiny model", () => {
  let registry: Serving;
  let cache: string;
  const parameters = new Map<string, number>();
  const kinds = ["safetensors", "gguf", "gguf-split"];

  const refer = (kind: string) => `${registry.host}/tiny/${kind}:v1`;
  const ocireg = async (...words: string[]) => runChecked([await compiledBinary(), ...words]);
  const pulled = (kind: string, ...words: string[]) =>
    ocireg("pull", refer(kind), "--cache-dir", cache, ...words);
  const inspected = async (kind: string) =>
    JSON.parse(await ocireg("inspect", "--json", refer(kind)));

  beforeAll(async () => {
    registry = await startServing();
    cache = temporaryDirectory();
    for (const kind of kinds) {
      const directory = join(temporaryDirectory(), "model");
      parameters.set(kind, Number(await script("make-model.py", [kind, directory])));
      await ocireg("push", "--format", "docker", directory, refer(kind));
    }
  }, 120_000);

  afterAll(() => registry?.stop());

  test("of safetensors shards is opened by safetensors, shard by shard as its index says", async () => {
    expect(await load(["safetensors", await pulled("safetensors")])).toEqual({
      tensors: 12,
      parameters: parameters.get("safetensors"),
      indexed: true,
    });
  });

  test("is opened by transformers", async () => {
    const found = await load(["transformers", await pulled("safetensors")]);
    expect(found).toMatchObject({ architectures: ["LlamaForCausalLM"], text: "h i !" });
    expect(found["parameters"] ?? parameters.get("safetensors")).toBe(
      parameters.get("safetensors"),
    );
  }, 60_000);

  test("is opened by its name in Hugging Face's cache, offline", async () => {
    const home = temporaryDirectory();
    const hub = join(home, "hub");
    const snapshot = await pulled("safetensors", "--layout", "hf-cache", "--output", hub);
    const env = { HF_HOME: home };
    expect(await load(["transformers", "tiny/safetensors"], env)).toMatchObject({
      architectures: ["LlamaForCausalLM"],
      text: "h i !",
    });
    expect(await load(["hub", "tiny/safetensors", "v1"], env)).toEqual({
      snapshot,
      tagged: snapshot,
      config: join(snapshot, "config.json"),
      repositories: ["tiny/safetensors"],
      refs: ["main", "v1"],
      warnings: [],
    });
    expect(await load(["safetensors", snapshot])).toMatchObject({ indexed: true });
  }, 60_000);

  test("of GGUF is opened by gguf's reader and by llama.cpp", async () => {
    const file = join(await pulled("gguf"), "tiny.gguf");
    expect(await load(["gguf", file])).toEqual({
      architecture: "llama",
      tensors: 12,
      parameters: parameters.get("gguf"),
    });
    expect(await load(["llama", file])).toEqual({ tokens: 4 });
  }, 60_000);

  test("of several GGUF files is opened by llama.cpp from the first", async () => {
    const directory = await pulled("gguf-split");
    const files = [1, 2, 3].map((part) => join(directory, `tiny-0000${part}-of-00003.gguf`));
    expect(await load(["gguf", ...files])).toMatchObject({
      tensors: 12,
      parameters: parameters.get("gguf-split"),
    });
    expect(await load(["llama", files[0] ?? ""])).toEqual({ tokens: 4 });
  }, 60_000);

  test.each(kinds)("of %s is inspected as its own library counts it", async (kind) => {
    const { model, licenses, warnings } = await inspected(kind);
    expect(warnings).toEqual([]);
    expect(model).toMatchObject({
      format: kind === "safetensors" ? "safetensors" : "gguf",
      architecture: kind === "safetensors" ? "LlamaForCausalLM" : "llama",
      parameterCount: parameters.get(kind) ?? 0,
      quantization: "F32",
      contextSize: 128,
    });
    expect(licenses).toEqual(kind === "safetensors" ? [] : ["MIT"]);
  });
});
