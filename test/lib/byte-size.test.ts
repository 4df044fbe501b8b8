import { describe, expect, test } from "bun:test";
import { formatByteSize, parseByteSize } from "../../src/lib/byte-size.ts";

describe("byte sizes", () => {
  test.each([
    ["0", 0],
    ["512", 512],
    ["512B", 512],
    ["4MiB", 4_194_304],
    ["4 MiB", 4_194_304],
    ["4M", 4_194_304],
    ["4mb", 4_000_000],
    ["1.5GiB", 1_610_612_736],
    ["2TB", 2_000_000_000_000],
  ])("%s is read", (text, bytes) => {
    expect(parseByteSize(text)).toBe(bytes);
  });

  test.each([
    "",
    "MiB",
    "-1",
    "1.2.3",
    "4 Mi B",
    "4XiB",
    "1e9",
    "9999999999999999TiB",
    "constructor",
  ])("%p isn't a size", (text) => {
    expect(parseByteSize(text)).toBeUndefined();
  });

  test("two or three digits are shown, in powers of 1024", () => {
    expect([0, 1023, 1024, 1536, 10_000, 1_048_576, 16_064_000_000].map(formatByteSize)).toEqual([
      "0 B",
      "1023 B",
      "1 KiB",
      "1.50 KiB",
      "9.77 KiB",
      "1 MiB",
      "15 GiB",
    ]);
  });
});
