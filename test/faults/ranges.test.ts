/** Registries that don't do ranges, or do them wrong: never mixed bytes. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import type { TestRegistry } from "../support/registry.ts";
import type { Behaviour } from "./behaviour.ts";
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

const ranged = (behaviour: Behaviour) =>
  onShards(model, (_, { headers }) => (headers.has("range") ? behaviour : undefined));

describe("a registry without ranges", () => {
  test("that sends everything is read in one stream a blob", async () => {
    await using outcome = await pullThrough(model, () => ({ ignoreRange: true }));
    await expectPulled(outcome, model);
    // A few may be under way before the first answer tells, and are left early.
    expect(outcome.proxy.bytes()).toBeLessThanOrEqual(model.size + 16 * MEBIBYTE);
  });

  test("that sends everything goes on after a break", async () => {
    await using outcome = await pullThrough(
      model,
      onShards(model, (number) => ({
        ignoreRange: true,
        ...(number <= 3 && { cutAfter: 10 * MEBIBYTE }),
      })),
    );
    await expectPulled(outcome, model);
  });

  test("that never gets to the end of a blob ends the pull after some attempts", async () => {
    const fault = onShards(model, () => ({ ignoreRange: true, cutAfter: 3 * MEBIBYTE }));
    await using outcome = await pullThrough(model, fault);
    const { message } = expectFailed(outcome, "network");
    const reason = `${outcome.proxy.host}: the connection was closed unexpectedly`;
    expect(message).toEndWith(`it broke off 5 times, no further than before: ${reason}`);
    expect(outcome.proxy.requests("blob")).toBeLessThan(30);
  });

  test.each([400, 416, 501])("that answers %d to a range is read in one stream", async (status) => {
    await using outcome = await pullThrough(model, ranged({ answer: { status } }));
    await expectPulled(outcome, model);
  });

  test("that doesn't announce them is still asked for them", async () => {
    await using outcome = await pullThrough(model, () => ({ headers: { "accept-ranges": null } }));
    await expectPulled(outcome, model);
  });
});

describe("an answer with the wrong Content-Range", () => {
  test.each([
    ["of other bytes", "bytes 0-1023/25165824"],
    ["of another size", "bytes 0-25165823/25165824000"],
    ["beyond what numbers can be", `bytes ${"9".repeat(40)}-${"9".repeat(41)}/${"9".repeat(42)}`],
    ["that ends before it begins", "bytes 100-1/25165824"],
    ["in another unit", "lines 0-1023/25165824"],
    ["that isn't one", "nonsense"],
    ["that is missing", null],
  ])("%s isn't believed", async (_, value) => {
    await using outcome = await pullThrough(model, ranged({ headers: { "content-range": value } }));
    await expectPulled(outcome, model);
  });

  test("that is right, over other bytes, is found out", async () => {
    await using outcome = await pullThrough(
      model,
      onShards(model, (_, { start }) =>
        start > 0 ? { change: (chunk) => chunk.fill(0x20) } : undefined,
      ),
    );
    // Whole from its beginning each blob is right: a clean stream would be, too.
    if (outcome.failure) expectFailed(outcome, "content");
    else await expectPulled(outcome, model);
  });
});

describe("a length that lies", () => {
  test.each([
    ["more than comes", { "content-length": String(64 * MEBIBYTE) }],
    ["less than comes", { "content-length": "1000" }],
    ["nothing", { "content-length": "0" }],
    ["less than nothing", { "content-length": "-5" }],
    ["more than a number holds", { "content-length": "9".repeat(30) }],
    ["two things at once", { "content-length": "5, 7" }],
  ])("and says %s never ends in wrong bytes", async (_, headers) => {
    await using outcome = await pullThrough(
      model,
      onShards(model, () => ({ headers })),
      {
        stallTimeout: 1500,
      },
    );
    expect(["network", "content"]).toContain(outcome.failure?.kind ?? "none");
  });

  test("for a while is got over", async () => {
    await using outcome = await pullThrough(
      model,
      onShards(model, (number) =>
        number === 1
          ? {
              headers: { "content-length": String(64 * MEBIBYTE) },
              untilClose: false,
              cutAfter: 100_000,
            }
          : undefined,
      ),
    );
    await expectPulled(outcome, model);
  });
});
