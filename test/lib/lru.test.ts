import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { LruCache } from "../../src/lib/lru.ts";

const cache = (capacity: number) => new LruCache<string, string>(capacity, (text) => text.length);

describe("LruCache", () => {
  test("gives back what was set, and undefined for what wasn't", () => {
    const lru = cache(10);
    lru.set("a", "1");
    expect(lru.get("a")).toBe("1");
    expect(lru.get("b")).toBeUndefined();
  });

  test("forgets what was used longest ago when the weights exceed its capacity", () => {
    const lru = cache(3);
    for (const key of ["a", "b", "c"]) lru.set(key, "1");
    lru.get("a");
    lru.set("d", "1");
    expect(["a", "b", "c", "d"].filter((key) => lru.get(key))).toEqual(["a", "c", "d"]);
  });

  test("forgets as many as a heavy one needs room for", () => {
    const lru = cache(4);
    for (const key of ["a", "b", "c"]) lru.set(key, "1");
    lru.set("d", "123");
    expect(["a", "b", "c", "d"].filter((key) => lru.get(key))).toEqual(["c", "d"]);
  });

  test("doesn't keep what is heavier than its capacity, and forgets nothing for it", () => {
    const lru = cache(3);
    lru.set("a", "12");
    lru.set("b", "1234");
    expect(lru.get("a")).toBe("12");
    expect(lru.get("b")).toBeUndefined();
    lru.set("a", "1234");
    expect(lru.get("a")).toBeUndefined();
  });

  test("counts a value that replaces another once", () => {
    const lru = cache(3);
    for (let i = 0; i < 10; i++) lru.set("a", "12");
    lru.set("b", "1");
    expect(lru.get("a")).toBe("12");
    lru.delete("a");
    lru.delete("a");
    lru.set("c", "12");
    expect(lru.get("b")).toBe("1");
  });

  test("holds the newest keys whose weights fit, whatever was set before", () => {
    const values = fc.tuple(
      fc.constantFrom("a", "b", "c", "d"),
      fc.constantFrom("", "1", "12", "123"),
    );
    fc.assert(
      fc.property(fc.array(values), (entries) => {
        const lru = cache(4);
        for (const [key, value] of entries) lru.set(key, value);
        const newest = new Map(entries);
        const kept = [...newest].filter(([key, value]) => {
          const found = lru.get(key);
          expect(found === undefined || found === value).toBe(true);
          return found !== undefined;
        });
        expect(kept.reduce((sum, [, value]) => sum + value.length, 0)).toBeLessThanOrEqual(4);
        const last = entries.at(-1);
        if (last) expect(lru.get(last[0])).toBe(last[1]);
      }),
    );
  });
});
