import { describe, expect, test } from "bun:test";
import { Renewing } from "../../src/lib/renewing.ts";

function counting(lifetime?: number) {
  let count = 0;
  return async () => ({ value: { count: ++count }, lifetime });
}

describe("Renewing", () => {
  test("fetches a value once for all who ask, and keeps it while it lives", async () => {
    const renewing = new Renewing<{ count: number }>();
    const fetch = counting(3_600_000);
    const values = await Promise.all([1, 2, 3].map(() => renewing.get("a", fetch)));
    values.push(await renewing.get("a", fetch));
    expect(values.map(({ count }) => count)).toEqual([1, 1, 1, 1]);
    expect((await renewing.get("b", fetch)).count).toBe(2);
  });

  test("keeps for ever what doesn't expire", async () => {
    const renewing = new Renewing<{ count: number }>();
    const fetch = counting();
    await renewing.get("a", fetch);
    expect((await renewing.get("a", fetch)).count).toBe(1);
  });

  test("fetches anew what has expired", async () => {
    const renewing = new Renewing<{ count: number }>();
    const fetch = counting(0);
    await renewing.get("a", fetch);
    expect((await renewing.get("a", fetch)).count).toBe(2);
  });

  test("replaces a refused value once, however many say so", async () => {
    const renewing = new Renewing<{ count: number }>();
    const fetch = counting();
    const refused = await renewing.get("a", fetch);
    const values = await Promise.all([1, 2, 3].map(() => renewing.get("a", fetch, { refused })));
    expect(values.map(({ count }) => count)).toEqual([2, 2, 2]);
    expect((await renewing.get("a", fetch, { refused })).count).toBe(2);
  });

  test("doesn't keep a failure", async () => {
    const renewing = new Renewing<string>();
    const failing = async () => {
      throw new Error("not now");
    };
    expect(renewing.get("a", failing)).rejects.toThrow("not now");
    await renewing.get("a", failing).catch(() => {});
    expect(await renewing.get("a", async () => ({ value: "x" }))).toBe("x");
  });

  test("lets one waiter go while the others wait on", async () => {
    const renewing = new Renewing<string>();
    const { promise, resolve } = Promise.withResolvers<{ value: string }>();
    const leaving = new AbortController();
    const first = renewing.get("a", () => promise, { signal: leaving.signal });
    const second = renewing.get("a", () => promise);
    leaving.abort(new Error("I leave"));
    expect(first).rejects.toThrow("I leave");
    await first.catch(() => {});
    resolve({ value: "x" });
    expect(await second).toBe("x");
  });
});
