import { describe, expect, test } from "bun:test";
import { untilAborted } from "../../src/lib/abort.ts";
import { digestOf } from "../../src/oci/digest.ts";
import { Delivery } from "../../src/pull/delivery.ts";
import type { Receiver } from "../../src/pull/transfer.ts";

const blobs = ["a", "b", "c"].map((text) => ({ digest: digestOf(text), size: 1 }));

/** A fetch that brings the blobs one by one, each when it is let. */
function stepwise() {
  const steps = blobs.map(() => Promise.withResolvers<void>());
  let runs = 0;
  const fetch = async (receive: Receiver, signal: AbortSignal) => {
    runs++;
    for (const [index, blob] of blobs.entries()) {
      await untilAborted(steps[index]?.promise ?? Promise.resolve(), signal);
      await receive(blob, signal);
    }
  };
  return { fetch, runs: () => runs, let: (index: number) => steps[index]?.resolve() };
}

describe("a delivery", () => {
  test("gives its receiver what came before there was one, and what comes after, once", async () => {
    const steps = stepwise();
    const delivery = new Delivery(steps.fetch);
    const early = delivery.start();
    steps.let(0);
    await Bun.sleep(1);
    const received: string[] = [];
    const done = delivery.to(async ({ digest }) => void received.push(digest));
    steps.let(1);
    steps.let(2);
    await Promise.all([early, done]);
    expect(received).toEqual(blobs.map(({ digest }) => digest));
    expect(steps.runs()).toBe(1);
  });

  test("ends when its receiver fails, whether the blob came early or late, and begins anew", async () => {
    for (const bad of [0, 2]) {
      const steps = stepwise();
      const delivery = new Delivery(steps.fetch);
      const early = delivery.start();
      early.catch(() => {});
      steps.let(0);
      steps.let(1);
      await Bun.sleep(1);
      const failing = delivery.to(async ({ digest }) => {
        if (digest === blobs[bad]?.digest) throw new Error("hostile");
      });
      failing.catch(() => {});
      if (bad === 2) steps.let(2);
      await expect(failing).rejects.toThrow("hostile");
      await expect(early).rejects.toThrow("hostile");

      steps.let(2);
      const received: string[] = [];
      await delivery.to(async ({ digest }) => void received.push(digest));
      expect(received).toEqual(blobs.map(({ digest }) => digest));
      expect(steps.runs()).toBe(2);
    }
  });

  test("that is settled with a reason is under way no more", async () => {
    const steps = stepwise();
    const delivery = new Delivery(steps.fetch);
    const early = delivery.start();
    early.catch(() => {});
    const settled = delivery.settle(new Error("enough"));
    await settled;
    await expect(early).rejects.toThrow("enough");
    await new Delivery(steps.fetch).settle(new Error("never begun"));
  });
});
