import { describe, expect, test } from "bun:test";
import { delay, untilAborted } from "../../src/lib/abort.ts";

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
