import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { Failure } from "../../src/lib/failure.ts";
import { parseGgufHead } from "../../src/model/gguf.ts";
import { ggufFile, refusal } from "./fixtures.ts";

const file = ggufFile(
  {
    "general.architecture": "llama",
    "tokenizer.ggml.tokens": ["<s>", "</s>", "a"],
    "split.no": 1,
    "split.count": 3,
    flag: true,
  },
  { "blk.0.weight": [4, 8], "blk.1.weight": [16] },
);
const parse = (bytes: Uint8Array, size = bytes.byteLength) =>
  parseGgufHead(bytes, size, "the file");

/** The file with `value` as a little-endian number at `offset`. */
function patched(offset: number, size: 4 | 8, value: bigint): Uint8Array {
  const bytes = file.slice();
  const view = new DataView(bytes.buffer);
  if (size === 4) view.setUint32(offset, Number(value), true);
  else view.setBigUint64(offset, value, true);
  return bytes;
}

describe("the head of a GGUF file", () => {
  test("tells the values that aren't arrays, and counts parameters", () => {
    const head = parse(file);
    expect(head?.parameters).toBe(48);
    expect(Object.fromEntries(head?.values ?? [])).toEqual({
      "general.architecture": "llama",
      "split.no": 1,
      "split.count": 3,
      flag: true,
    });
  });

  test("asks for more when it goes on beyond the bytes at hand, at any byte", () => {
    for (let length = 0; length < file.byteLength; length++) {
      expect(parse(file.subarray(0, length), file.byteLength + 1000)).toBeUndefined();
    }
  });

  test("is refused when the file ends within it", () => {
    for (let length = 0; length < file.byteLength; length++) {
      expect(refusal(() => parse(file.subarray(0, length)))).toContain("isn't a valid GGUF file");
    }
  });

  test.each<[string, Uint8Array]>([
    ["another magic", patched(0, 4, 0x12345678n)],
    ["version 1", patched(4, 4, 1n)],
    ["big-endian bytes", patched(4, 4, 0x03000000n)],
    ["more tensors than fit", patched(8, 8, 2n ** 60n)],
    ["more values than fit", patched(16, 8, 2n ** 63n)],
    ["a key longer than the file", patched(24, 8, 2n ** 31n)],
    ["a value of an unknown type", patched(24 + 8 + 20, 4, 13n)],
  ])("is refused with %s", (_, bytes) => {
    expect(refusal(() => parse(bytes))).toContain("isn't a valid GGUF file");
  });

  test("is refused with a key twice", () => {
    const once = ggufFile({ aaaa: 1, bbbb: 2 });
    const text = Buffer.from(once).toString("latin1").replace("bbbb", "aaaa");
    expect(refusal(() => parse(new Uint8Array(Buffer.from(text, "latin1"))))).toContain("twice");
  });

  test("is refused with tensors of five dimensions or long names", () => {
    expect(refusal(() => parse(ggufFile({}, { t: [1, 1, 1, 1, 1] })))).toContain("4 dimensions");
    expect(refusal(() => parse(ggufFile({}, { ["t".repeat(64)]: [1] })))).toContain("64 bytes");
  });

  test("is read, refused or unfinished, whatever bytes are changed", () => {
    const change = fc.tuple(fc.nat(file.byteLength - 1), fc.nat(255));
    fc.assert(
      fc.property(fc.array(change, { maxLength: 6 }), (changes) => {
        const bytes = file.slice();
        for (const [offset, value] of changes) bytes[offset] = value;
        try {
          parse(bytes);
        } catch (error) {
          expect(error).toBeInstanceOf(Failure);
        }
      }),
      { numRuns: 1000 },
    );
  });
});
