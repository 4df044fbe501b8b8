import { expect, test } from "bun:test";
import { transferLargestFirst } from "../../src/pull/largest-first.ts";

test("the largest begins first, and the results keep the order", async () => {
  const items = [3, 9, 1, 7].map((size) => ({ size }));
  const begun: number[] = [];
  const results = await transferLargestFirst(items, 2, undefined, async ({ size }) => {
    begun.push(size);
    return -size;
  });
  expect(begun).toEqual([9, 7, 3, 1]);
  expect(results).toEqual([-3, -9, -1, -7]);
});
