import { describe, expect, test } from "bun:test";
import {
  openedWhenRead,
  readerWithin,
  readingAhead,
  rememberingStart,
} from "../../src/pull/partial-readers.ts";
import type { RangeReader } from "../../src/pull/range-reader.ts";

const content = Uint8Array.from({ length: 100 }, (_, i) => i);

function source(): { reader: RangeReader; asked: [number, number][] } {
  const asked: [number, number][] = [];
  const reader: RangeReader = {
    size: content.byteLength,
    async read(start, end) {
      asked.push([start, end]);
      return content.subarray(start, end);
    },
  };
  return { reader, asked };
}
const bytes = (from: number, to: number) => content.subarray(from, to);

describe("a reader within another", () => {
  test("begins at its place and ends at its end", async () => {
    const inner = readerWithin(source().reader, 10, 5);
    expect(await inner.read(0, 5)).toEqual(bytes(10, 15));
    expect(await inner.read(3, 50)).toEqual(bytes(13, 15));
    expect(await inner.read(7, 9)).toEqual(bytes(15, 15));
  });
});

describe("reading ahead", () => {
  test("asks once for what lies close together", async () => {
    const { reader, asked } = source();
    const ahead = readingAhead(reader, 20);
    expect(await ahead.read(0, 5)).toEqual(bytes(0, 5));
    expect(await ahead.read(10, 20)).toEqual(bytes(10, 20));
    expect(await ahead.read(90, 200)).toEqual(bytes(90, 100));
    expect(await ahead.read(30, 70)).toEqual(bytes(30, 70));
    expect(asked).toEqual([
      [0, 20],
      [90, 100],
      [30, 70],
    ]);
  });
});

describe("remembering the start", () => {
  test("asks for every byte of it once", async () => {
    const { reader, asked } = source();
    const remembering = rememberingStart(reader, 10);
    expect(await remembering.read(0, 8)).toEqual(bytes(0, 8));
    expect(await remembering.read(2, 10)).toEqual(bytes(2, 10));
    expect(await remembering.read(8, 30)).toEqual(bytes(8, 30));
    expect(await remembering.read(0, 30)).toEqual(bytes(0, 30));
    expect(await remembering.read(60, 300)).toEqual(bytes(60, 100));
    expect(asked).toEqual([
      [0, 10],
      [10, 30],
      [60, 100],
    ]);
  });
});

test("content that nobody reads isn't opened, and that which is, once", async () => {
  let opened = 0;
  const reader = openedWhenRead(100, async () => {
    opened++;
    return source().reader;
  });
  expect([reader.size, opened]).toEqual([100, 0]);
  expect(await reader.read(1, 3)).toEqual(bytes(1, 3));
  await reader.read(4, 5);
  expect(opened).toBe(1);
});
