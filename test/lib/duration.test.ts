import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { formatDuration, parseDuration } from "../../src/lib/duration.ts";

describe("durations", () => {
  test.each([
    ["0", 0],
    ["0s", 0],
    ["250ms", 250],
    ["30s", 30_000],
    ["1.5s", 1_500],
    ["5m", 300_000],
    ["1m30s", 90_000],
    ["2h", 7_200_000],
    ["1d", 86_400_000],
  ])("%s is read", (text, milliseconds) => {
    expect(parseDuration(text)).toBe(milliseconds);
  });

  test.each(["", "30", "s", "-5s", "5 s", "5x", "1e3s", "NaNs", "5m!", "99999999999999s"])(
    "%p isn't a duration",
    (text) => {
      expect(parseDuration(text)).toBeUndefined();
    },
  );

  test("what is written is read back", () => {
    fc.assert(
      fc.property(fc.nat(1e10), (milliseconds) => {
        expect(parseDuration(formatDuration(milliseconds))).toBe(milliseconds);
      }),
    );
  });

  test("the text is short", () => {
    expect([0, 500, 25_000, 90_000, 300_000].map(formatDuration)).toEqual([
      "0s",
      "500ms",
      "25s",
      "1m30s",
      "5m",
    ]);
  });
});
