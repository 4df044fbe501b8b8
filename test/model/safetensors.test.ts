import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { Failure } from "../../src/lib/failure.ts";
import {
  countParameters,
  parseSafetensorsHeader,
  safetensorsHeaderLength,
} from "../../src/model/safetensors.ts";
import { refusal, safetensorsFile, tensorFile } from "./fixtures.ts";

function parse(file: Uint8Array) {
  const length = safetensorsHeaderLength(file.subarray(0, 8), "the file");
  return parseSafetensorsHeader(file.subarray(8, 8 + length), file.byteLength, "the file");
}

const refused = (header: string, dataLength = 0) =>
  refusal(() => parse(safetensorsFile(header, dataLength)));
const entry = (dtype: string, shape: number[], offsets: number[]) =>
  JSON.stringify({ t: { dtype, shape, data_offsets: offsets } });

describe("a safetensors header", () => {
  test("tells names, types, shapes and metadata", () => {
    const { tensors, metadata, dataLength } = parse(tensorFile({ a: 3, b: 5 }));
    expect(metadata).toEqual({ format: "pt" });
    expect(dataLength).toBe(32);
    expect([...tensors]).toEqual([
      ["a", { dtype: "F32", shape: [3], elements: 3, length: 12 }],
      ["b", { dtype: "F32", shape: [5], elements: 5, length: 20 }],
    ]);
    expect(countParameters([parse(tensorFile({ a: 3, b: 5 })), parse(tensorFile({ c: 1 }))])).toBe(
      9,
    );
  });

  test("may be padded with spaces, have scalars and empty tensors, and stand in any order", () => {
    const header = JSON.stringify({
      late: { dtype: "BF16", shape: [2, 2], data_offsets: [8, 16] },
      scalar: { dtype: "F64", shape: [], data_offsets: [0, 8] },
      none: { dtype: "U8", shape: [0, 7], data_offsets: [8, 8] },
    });
    expect(parse(safetensorsFile(`${header}   `, 16)).tensors.size).toBe(3);
    expect(parse(safetensorsFile("{}", 0)).tensors.size).toBe(0);
  });

  test.each([
    ["F4", 4],
    ["F6_E2M3", 6],
    ["F8_E4M3", 8],
    ["BOOL", 8],
    ["BF16", 16],
    ["I32", 32],
    ["C64", 64],
  ])("knows that an element of %s has %d bits", (dtype, bits) => {
    expect(parse(safetensorsFile(entry(dtype, [8], [0, bits]), bits)).dataLength).toBe(bits);
    expect(refused(entry(dtype, [8], [0, bits + 1]), bits + 1)).toContain("shape and dtype");
  });

  test.each<[string, string, number]>([
    ["that isn't JSON", "{nope}", 0],
    ["that doesn't begin with a brace", ' {"a":1}', 0],
    ["that is an array", "[]", 0],
    ["that has a tensor twice", '{"t":{"dtype":"U8","shape":[],"data_offsets":[0,1]},"t":{}}', 1],
    [
      "that has an escaped key twice",
      '{"t":{"dtype":"U8","shape":[],"data_offsets":[0,1]},"\\u0074":{}}',
      1,
    ],
    [
      "that has a field twice",
      '{"t":{"dtype":"U8","dtype":"U8","shape":[],"data_offsets":[0,1]}}',
      1,
    ],
    ["with an unknown type", entry("Q7", [1], [0, 1]), 1],
    ["with a negative size", entry("U8", [-1], [0, 1]), 1],
    ["with a fraction", entry("U8", [1.5], [0, 1]), 1],
    ["with a range that ends before it starts", entry("U8", [1], [1, 0]), 1],
    ["with one offset", entry("U8", [1], [0]), 1],
    ["with a gap at the start", entry("U8", [1], [1, 2]), 2],
    ["with less data than it says", entry("U8", [4], [0, 4]), 3],
    ["with more data than it says", entry("U8", [4], [0, 4]), 5],
    ["whose shape overflows", entry("U8", [2 ** 40, 2 ** 40], [0, 0]), 0],
    ["whose shape overflows to nothing", entry("U8", Array(100).fill(2 ** 50), [0, 8]), 8],
    ["with metadata that isn't text", '{"__metadata__":{"n":1}}', 0],
    [
      "that is nested for ever",
      `{"t":{"dtype":"U8","shape":[],"data_offsets":[0,1],"x":${"[".repeat(1000)}${"]".repeat(1000)}}}`,
      1,
    ],
    ["with a tensor that is null", '{"t":null}', 0],
  ])("is refused %s", (_, header, dataLength) => {
    expect(refused(header, dataLength)).toContain("isn't a valid safetensors file");
  });

  test("is refused with overlapping tensors", () => {
    const tensor = (from: number, to: number) => ({
      dtype: "U8",
      shape: [to - from],
      data_offsets: [from, to],
    });
    const header = JSON.stringify({ a: tensor(0, 4), b: tensor(2, 6) });
    expect(refused(header, 6)).toContain("starts at 2, not at 4");
  });

  test("is refused when it isn't UTF-8", () => {
    const file = safetensorsFile('{"x":1}', 0);
    file[10] = 0xff;
    expect(refusal(() => parse(file))).toContain("UTF-8");
  });

  test("is bounded to 100,000,000 bytes", () => {
    const prefix = (length: bigint) => {
      const bytes = new Uint8Array(8);
      new DataView(bytes.buffer).setBigUint64(0, length, true);
      return bytes;
    };
    expect(safetensorsHeaderLength(prefix(100_000_000n), "the file")).toBe(100_000_000);
    for (const length of [100_000_001n, 2n ** 64n - 1n]) {
      expect(refusal(() => safetensorsHeaderLength(prefix(length), "the file"))).toContain(
        String(length),
      );
    }
    expect(refusal(() => safetensorsHeaderLength(new Uint8Array(7), "the file"))).toContain(
      "8 bytes",
    );
  });

  test("is read or refused, whatever it holds, and what is read fills the file", () => {
    const number = fc.oneof(fc.nat(64), fc.constantFrom(-1, 0.5, 2 ** 53, 1e300));
    const tensor = fc.record(
      {
        dtype: fc.constantFrom("U8", "F4", "F32", "F6_E3M2", "X", ""),
        shape: fc.array(number, { maxLength: 3 }),
        data_offsets: fc.array(number, { maxLength: 3 }),
      },
      { requiredKeys: [] },
    );
    const header = fc.dictionary(fc.string(), fc.oneof(tensor, fc.jsonValue()), { maxKeys: 4 });
    fc.assert(
      fc.property(header, fc.nat(128), (json, dataLength) => {
        const file = safetensorsFile(JSON.stringify(json), dataLength);
        try {
          const { tensors, dataLength: described } = parse(file);
          expect(described).toBe(dataLength);
          let sum = 0;
          for (const { length } of tensors.values()) sum += length;
          expect(sum).toBe(dataLength);
        } catch (error) {
          expect(error).toBeInstanceOf(Failure);
        }
      }),
      { numRuns: 2000 },
    );
  });
});
