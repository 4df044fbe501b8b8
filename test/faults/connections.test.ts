/** Connections that break, fall silent or crawl. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import type { TestRegistry } from "../support/registry.ts";
import {
  expectFailed,
  expectPulled,
  MEBIBYTE,
  onShards,
  pullThrough,
  type ServedModel,
  startModelRegistry,
} from "./scenario.ts";

let registry: TestRegistry;
let model: ServedModel;
beforeAll(async () => {
  ({ registry, model } = await startModelRegistry());
});
afterAll(() => registry.stop());

describe("a connection that breaks", () => {
  test.each([
    ["before an answer", -1],
    ["after the head", 0],
    ["after one byte", 1],
    ["after 1.5 MiB and a byte", 1.5 * MEBIBYTE + 1],
  ])("%s costs no more than what was under way", async (_, cutAfter) => {
    await using outcome = await pullThrough(
      model,
      onShards(model, (number) => (number <= 2 ? { cutAfter } : undefined)),
    );
    await expectPulled(outcome, model);
    // What the broken ones had brought may come again, and nothing else.
    expect(outcome.proxy.bytes()).toBeLessThanOrEqual(model.size + 2 * Math.max(0, cutAfter));
  });

  test("again and again doesn't end a pull that gets on", async () => {
    await using outcome = await pullThrough(
      model,
      onShards(model, () => ({ cutAfter: 2 * MEBIBYTE })),
    );
    await expectPulled(outcome, model);
    // Each piece that was cut goes on where it was, but for what its journal had not noted.
    expect(outcome.proxy.bytes()).toBeLessThanOrEqual(2 * model.size);
  });

  test("while the manifest comes is tried again", async () => {
    await using outcome = await pullThrough(model, ({ kind, number }) =>
      kind === "manifest" && number <= 2 ? { cutAfter: 10 } : undefined,
    );
    await expectPulled(outcome, model);
    expect(outcome.proxy.requests("manifest")).toBe(3);
  });

  test("each time before a byte came ends as a matter of the network", async () => {
    await using outcome = await pullThrough(
      model,
      onShards(model, () => ({ cutAfter: 0 })),
      { stallTimeout: 1500 },
    );
    const { message } = expectFailed(outcome, "network");
    expect(message).toContain(outcome.proxy.host);
  });
});

describe("a body without a length that ends with its connection", () => {
  test("is taken when it is whole", async () => {
    await using outcome = await pullThrough(
      model,
      onShards(model, () => ({ untilClose: true })),
    );
    await expectPulled(outcome, model);
  });

  test("isn't taken for whole when it is short", async () => {
    await using outcome = await pullThrough(
      model,
      onShards(model, (number) =>
        number <= 2 ? { untilClose: true, cutAfter: 100_000 } : undefined,
      ),
    );
    await expectPulled(outcome, model);
  });
});

describe("a connection that falls silent", () => {
  test.each([
    ["before an answer", -1],
    ["after the head", 0],
    ["in the middle", MEBIBYTE],
  ])("%s is given up, and its bytes come by another", async (_, stallAfter) => {
    await using outcome = await pullThrough(
      model,
      onShards(model, (number) => (number === 1 ? { stallAfter } : undefined)),
      { stallTimeout: 20_000 },
    );
    await expectPulled(outcome, model);
  });

  test("everywhere ends the pull after --stall-timeout", async () => {
    await using outcome = await pullThrough(
      model,
      onShards(model, (number) => ({ stallAfter: number <= 2 ? MEBIBYTE : 0 })),
      { stallTimeout: 1000 },
    );
    const { message } = expectFailed(outcome, "network");
    expect(message).toContain(outcome.proxy.host);
  });

  test("while the manifest is awaited ends the pull after --connect-timeout", async () => {
    await using outcome = await pullThrough(model, () => ({ stallAfter: -1 }), {
      connectTimeout: 500,
    });
    expectFailed(outcome, "network");
  });
});

test("time in which the process was stopped isn't time in which nothing moved", async () => {
  const fault = onShards(model, () => ({ rate: 4 * MEBIBYTE }));
  const pulling = pullThrough(model, fault, { stallTimeout: 2000 });
  await Bun.sleep(500);
  // Both sides stand still, as everything does on a machine that is suspended.
  Bun.sleepSync(3000);
  await using outcome = await pulling;
  await expectPulled(outcome, model);
});

describe("one connection that crawls", () => {
  test("doesn't hold up the others, and others end its work", async () => {
    // At this pace 24 MiB take 20 minutes: the test's own time limit is what is measured here.
    await using outcome = await pullThrough(
      model,
      onShards(model, (number) => (number === 1 ? { rate: 20_000 } : undefined)),
    );
    await expectPulled(outcome, model);
  });
});
