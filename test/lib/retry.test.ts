import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { backoffDelay, parseRetryAfter } from "../../src/lib/retry.ts";

describe("backoffDelay", () => {
  test("doubles its upper bound with each attempt, up to the maximum", () => {
    const random = () => 1 - Number.EPSILON;
    const delays = [1, 2, 3, 4, 5].map((attempt) =>
      Math.round(backoffDelay(attempt, { base: 100, max: 1000, random })),
    );
    expect(delays).toEqual([100, 200, 400, 800, 1000]);
  });

  test("lies in the upper half of its bound, whatever the attempt", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 5000 }),
        fc.double({ min: 0, max: 0.999, noNaN: true }),
        (n, r) => {
          const delay = backoffDelay(n, { base: 500, max: 30_000, random: () => r });
          expect(delay).toBeGreaterThanOrEqual(250);
          expect(delay).toBeLessThanOrEqual(30_000);
        },
      ),
    );
  });
});

describe("parseRetryAfter", () => {
  const now = Date.UTC(2026, 0, 1);

  test("reads seconds", () => {
    expect(parseRetryAfter("120", now)).toBe(120_000);
    expect(parseRetryAfter(" 0 ", now)).toBe(0);
  });

  test("reads an HTTP date, which never lies before now", () => {
    expect(parseRetryAfter("Thu, 01 Jan 2026 00:00:30 GMT", now)).toBe(30_000);
    expect(parseRetryAfter("Wed, 31 Dec 2025 00:00:00 GMT", now)).toBe(0);
  });

  test.each([null, "", "soon", "-1", "1.5", "Jan 2026", "1e9", "99999999999999"])(
    "takes %p for nothing",
    (header) => {
      expect(parseRetryAfter(header, now)).toBeUndefined();
    },
  );
});
