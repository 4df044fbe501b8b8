import { describe, expect, test } from "bun:test";
import { delay, GraceSignal, untilAborted } from "../../src/lib/abort.ts";

describe("untilAborted", () => {
  test("gives what the promise gives", async () => {
    expect(await untilAborted(Promise.resolve(1), new AbortController().signal)).toBe(1);
    expect(await untilAborted(Promise.resolve(2))).toBe(2);
  });

  test("throws the signal's reason while the promise goes on", async () => {
    const controller = new AbortController();
    const waiting = untilAborted(new Promise(() => {}), controller.signal);
    controller.abort(new Error("enough"));
    expect(waiting).rejects.toThrow("enough");
  });

  test("throws at once for a signal that was aborted before", () => {
    expect(
      untilAborted(new Promise(() => {}), AbortSignal.abort(new Error("gone"))),
    ).rejects.toThrow("gone");
  });

  test("keeps a late failure of the promise to itself", async () => {
    const { promise, reject } = Promise.withResolvers<never>();
    const waiting = untilAborted(promise, AbortSignal.abort(new Error("gone")));
    expect(waiting).rejects.toThrow("gone");
    await waiting.catch(() => {});
    reject(new Error("nobody waits for this"));
    await Bun.sleep(1);
  });
});

describe("delay", () => {
  test("ends after its time", async () => {
    expect(await delay(1)).toBeUndefined();
  });

  test("ends when the signal aborts", () => {
    const controller = new AbortController();
    const waiting = delay(60_000, controller.signal);
    controller.abort(new Error("enough"));
    expect(waiting).rejects.toThrow("enough");
  });
});

describe("GraceSignal", () => {
  test("aborts after its signal does, with the same reason", async () => {
    const leaving = new AbortController();
    using grace = new GraceSignal(leaving.signal, 5);
    leaving.abort(new Error("I leave"));
    expect(grace.signal.aborted).toBe(false);
    await new Promise((resolve) => grace.signal.addEventListener("abort", resolve));
    expect(grace.signal.reason).toEqual(new Error("I leave"));
  });

  test("aborts also when its signal had done so before", async () => {
    using grace = new GraceSignal(AbortSignal.abort(), 1);
    await new Promise((resolve) => grace.signal.addEventListener("abort", resolve));
  });

  test("never aborts once it isn't needed any more", async () => {
    const leaving = new AbortController();
    const grace = new GraceSignal(leaving.signal, 1);
    leaving.abort();
    grace[Symbol.dispose]();
    await delay(10);
    expect(grace.signal.aborted).toBe(false);
  });
});
