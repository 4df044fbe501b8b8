import { describe, expect, test } from "bun:test";
import { nameGgufShards, nameShards, parseWeightMap } from "../../src/model/shards.ts";
import { refusal } from "./fixtures.ts";

const shard = (...tensors: string[]) => ({ tensors, dataLength: 10 * tensors.length });
const json = (value: unknown) => new TextEncoder().encode(JSON.stringify(value));

describe("safetensors layers without names", () => {
  test("one is model.safetensors", () => {
    expect(nameShards([shard("a")], undefined)).toEqual({ names: ["model.safetensors"] });
  });

  test("several are numbered in their order, with an index", () => {
    const { names, index } = nameShards([shard("a", "b"), shard("c")], undefined);
    expect(names).toEqual(["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"]);
    expect(JSON.parse(index ?? "")).toEqual({
      metadata: { total_size: 30 },
      weight_map: {
        a: "model-00001-of-00002.safetensors",
        b: "model-00001-of-00002.safetensors",
        c: "model-00002-of-00002.safetensors",
      },
    });
  });

  test("must not share a tensor when no index says which counts", () => {
    expect(refusal(() => nameShards([shard("a"), shard("a")], undefined))).toContain('"a"');
  });

  describe("beside a weight map", () => {
    const map = new Map([
      ["a", "one.safetensors"],
      ["b", "one.safetensors"],
      ["c", "two.safetensors"],
    ]);

    test("are the files that have their tensors, whatever their order", () => {
      expect(nameShards([shard("c"), shard("b", "a")], map).names).toEqual([
        "two.safetensors",
        "one.safetensors",
      ]);
    });

    test("may have tensors that the map doesn't know", () => {
      expect(nameShards([shard("a", "x"), shard("c")], map).names).toEqual([
        "one.safetensors",
        "two.safetensors",
      ]);
    });

    test("are left out as consolidated copies with tensors of no file or of several", () => {
      const layers = [shard("a", "b", "c"), shard("a", "b"), shard("c"), shard("layers.0.wq")];
      expect(nameShards(layers, map).names).toEqual([
        undefined,
        "one.safetensors",
        "two.safetensors",
        undefined,
      ]);
    });

    test("must be all of its files, each once", () => {
      expect(refusal(() => nameShards([shard("a", "b")], map))).toContain("two.safetensors");
      expect(refusal(() => nameShards([shard("a"), shard("b"), shard("c")], map))).toContain(
        "one.safetensors",
      );
    });
  });
});

describe("a weight map", () => {
  test("names the file of each tensor", () => {
    const map = parseWeightMap(json({ metadata: {}, weight_map: { a: "x.safetensors" } }));
    expect([...map]).toEqual([["a", "x.safetensors"]]);
  });

  test.each<[string, Uint8Array]>([
    ["that isn't JSON", new TextEncoder().encode("{")],
    [
      "that is nested for ever",
      new TextEncoder().encode(`{"weight_map":{},"x":${"[".repeat(1000)}${"]".repeat(1000)}}`),
    ],
    ["that is missing", json({ metadata: {} })],
    ["that is a list", json({ weight_map: [1] })],
    ["of numbers", json({ weight_map: { a: 1 } })],
    ["that leads outside", json({ weight_map: { a: "../x.safetensors" } })],
    ["that is absolute", json({ weight_map: { a: "/x.safetensors" } })],
  ])("is refused %s", (_, bytes) => {
    refusal(() => parseWeightMap(bytes));
  });
});

describe("GGUF layers without names", () => {
  test("are numbered by their headers, whatever their order", () => {
    expect(
      nameGgufShards([
        { no: 1, count: 2 },
        { no: 0, count: 2 },
      ]),
    ).toEqual(["model-00002-of-00002.gguf", "model-00001-of-00002.gguf"]);
  });

  test.each([
    ["one is there twice", [0, 0], [2, 2]],
    ["one is missing", [0, 2], [3, 3]],
    ["they disagree", [0, 1], [2, 3]],
    ["they say nothing", [Number.NaN, Number.NaN], [Number.NaN, Number.NaN]],
    ["a number is negative", [0, -1], [2, 2]],
  ])("are refused when %s", (_, numbers, counts) => {
    refusal(() => nameGgufShards(numbers.map((no, i) => ({ no, count: counts[i] ?? 0 }))));
  });
});
