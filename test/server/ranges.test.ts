import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { noneMatch, parseContentRange, parseRange, rangeApplies } from "../../src/server/ranges.ts";

describe("a Range header (RFC 9110, 14)", () => {
  test.each([
    ["bytes=0-0", { start: 0, end: 1 }],
    ["bytes=5-9", { start: 5, end: 10 }],
    ["bytes=5-", { start: 5, end: 100 }],
    ["bytes=90-1000", { start: 90, end: 100 }],
    ["bytes=-10", { start: 90, end: 100 }],
    ["bytes=-1000", { start: 0, end: 100 }],
    ["BYTES=0-4", { start: 0, end: 5 }],
    ["bytes=100-", "unsatisfiable"],
    ["bytes=-0", "unsatisfiable"],
    ["bytes=9-5", "unsatisfiable"],
    ["bytes=", undefined],
    ["bytes=-", undefined],
    ["bytes=0-1,4-5", undefined],
    ["items=0-1", undefined],
    ["nonsense", undefined],
    [null, undefined],
  ] as const)("%p of 100 bytes means %p", (header, range) => {
    expect(parseRange(header, 100)).toEqual(range);
  });

  test("never leads outside of the content", () => {
    const number = fc.oneof(fc.constant(""), fc.bigInt({ min: 0n }).map(String));
    fc.assert(
      fc.property(number, number, fc.nat(), (first, last, size) => {
        const range = parseRange(`bytes=${first}-${last}`, size);
        if (range === undefined || range === "unsatisfiable") return;
        expect(range.start).toBeGreaterThanOrEqual(0);
        expect(range.end).toBeGreaterThan(range.start);
        expect(range.end).toBeLessThanOrEqual(size);
      }),
    );
  });
});

describe("a chunk's Content-Range (distribution-spec, Pushing a blob in chunks)", () => {
  test.each([
    ["0-0", { start: 0, end: 1 }],
    ["5-9", { start: 5, end: 10 }],
    ["9-5", undefined],
    ["bytes 0-5", undefined],
    ["bytes=0-5", undefined],
    ["0-5/10", undefined],
    ["-5", undefined],
    ["99999999999999999999-99999999999999999999", undefined],
  ] as const)("%p means %p", (header, range) => {
    expect(parseContentRange(header)).toEqual(range);
  });
});

describe("a validator (RFC 9110, 13)", () => {
  test("matches if it names the ETag, weakly, in a list, or by a star", () => {
    for (const header of ['"x"', 'W/"x"', '"a", "x"', "*"])
      expect(noneMatch(header, '"x"')).toBe(true);
    for (const header of ['"y"', "x", "", null]) expect(noneMatch(header, '"x"')).toBe(false);
  });

  test("lets a range apply when it is the ETag itself, never when it is weak or a date", () => {
    for (const header of [null, '"x"']) expect(rangeApplies(header, '"x"')).toBe(true);
    for (const header of ['W/"x"', '"y"', "Sat, 21 Nov 2026 10:00:00 GMT"]) {
      expect(rangeApplies(header, '"x"')).toBe(false);
    }
  });
});
