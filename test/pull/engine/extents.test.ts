import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { Extents } from "../../../src/pull/engine/extents.ts";

const size = 40;
const extent = fc
  .tuple(fc.nat(size), fc.nat(size))
  .map(([a, b]) => ({ start: Math.min(a, b), end: Math.max(a, b) }));

/** The bytes of extents, one by one. */
const bytesOf = (extents: Iterable<{ start: number; end: number }>) =>
  Array.from({ length: size }, (_, byte) => byte).filter((byte) =>
    [...extents].some(({ start, end }) => byte >= start && byte < end),
  );

describe("a set of extents", () => {
  test("holds the bytes that were added, in order, without overlaps and without touching", () => {
    fc.assert(
      fc.property(fc.array(extent), (added) => {
        const list = [...new Extents(added)];
        expect(bytesOf(list)).toEqual(bytesOf(added));
        for (const [index, { start, end }] of list.entries()) {
          expect(start).toBeLessThan(end);
          expect(start).toBeGreaterThan(list[index - 1]?.end ?? -1);
        }
      }),
    );
  });

  test("knows how many bytes it holds, and what is missing", () => {
    fc.assert(
      fc.property(fc.array(extent), (added) => {
        const extents = new Extents(added);
        const missing = extents.missing(size);
        expect(extents.total).toBe(bytesOf(added).length);
        expect(bytesOf(missing).length).toBe(size - extents.total);
        expect(bytesOf([...extents, ...missing]).length).toBe(size);
      }),
    );
  });

  test("gives its bytes away from the front, no more than asked for at once", () => {
    fc.assert(
      fc.property(fc.array(extent), fc.integer({ min: 1, max: 10 }), (added, length) => {
        const extents = new Extents(added);
        const taken = [];
        for (let part = extents.take(length); part; part = extents.take(length)) {
          expect(part.end - part.start).toBeLessThanOrEqual(length);
          taken.push(part);
        }
        expect(extents.isEmpty).toBe(true);
        expect(bytesOf(taken)).toEqual(bytesOf(added));
      }),
    );
  });

  test("has a front only where byte 0 is", () => {
    expect(new Extents([{ start: 1, end: 9 }]).front).toBe(0);
    expect(new Extents([{ start: 0, end: 4 }]).front).toBe(4);
  });
});
