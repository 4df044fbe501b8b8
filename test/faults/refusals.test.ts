/** Answers that say no: for a while, or for good. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import type { TestRegistry } from "../support/registry.ts";
import {
  expectFailed,
  expectPulled,
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

describe("a registry that is busy", () => {
  test("is asked again when it says: Retry-After", async () => {
    const times: number[] = [];
    await using outcome = await pullThrough(model, ({ kind, number }) => {
      if (kind !== "manifest") return undefined;
      times.push(performance.now());
      return number === 1
        ? { answer: { status: 429, headers: { "retry-after": "1" } } }
        : undefined;
    });
    await expectPulled(outcome, model);
    expect(times).toHaveLength(2);
    expect((times[1] ?? 0) - (times[0] ?? 0)).toBeGreaterThanOrEqual(990);
  });

  test("isn't asked again for what it put off before the time that it says", async () => {
    const asked: { range: string | undefined; digest: string | undefined; at: number }[] = [];
    await using outcome = await pullThrough(model, ({ kind, digest, headers }) => {
      if (kind !== "blob") return undefined;
      asked.push({ digest, range: headers.get("range"), at: performance.now() });
      return asked.length === 1
        ? { answer: { status: 429, headers: { "retry-after": "1" } } }
        : undefined;
    });
    await expectPulled(outcome, model);
    const [refused, ...others] = asked;
    const again = others.filter(
      ({ digest, range }) => digest === refused?.digest && range === refused?.range,
    );
    expect(again[0]?.at).toBeGreaterThanOrEqual((refused?.at ?? 0) + 990);
  });

  test.each([429, 500, 502, 503, 504])("with bursts of %d is waited for", async (status) => {
    await using outcome = await pullThrough(model, ({ kind, number }) =>
      kind === "blob" && (number <= 3 || (number > 5 && number <= 7))
        ? { answer: { status, body: "<html>not now</html>" } }
        : undefined,
    );
    await expectPulled(outcome, model);
    expect(outcome.proxy.bytes()).toBeLessThanOrEqual(model.size + 5 * 21 * 2);
  });

  test("for good ends as a matter of the network, with what it said", async () => {
    const errors = [{ code: "TOOMANYREQUESTS", message: "come back tomorrow" }];
    await using outcome = await pullThrough(
      model,
      ({ kind }) =>
        kind === "blob" ? { answer: { status: 429, body: JSON.stringify({ errors }) } } : undefined,
      { stallTimeout: 1500 },
    );
    const { message } = expectFailed(outcome, "network");
    expect(message).toContain("429");
    expect(message).toContain("come back tomorrow");
  });

  test.each(["99999999999999", "-1", "soon", "Wed, 21 Oct 2099 07:28:00 GMT"])(
    "with the Retry-After %p doesn't make a pull wait beyond --stall-timeout",
    async (value) => {
      await using outcome = await pullThrough(
        model,
        ({ kind }) =>
          kind === "blob"
            ? { answer: { status: 503, headers: { "retry-after": value } } }
            : undefined,
        { stallTimeout: 1500 },
      );
      expectFailed(outcome, "network");
    },
  );
});

describe("a registry that refuses for good", () => {
  test.each([
    [401, "unauthorized"],
    [403, "unauthorized"],
    [404, "not-found"],
  ] as const)("with %d for blobs ends the pull at once as %s", async (status, kind) => {
    await using outcome = await pullThrough(model, (exchange) =>
      exchange.kind === "blob" ? { answer: { status } } : undefined,
    );
    const { message } = expectFailed(outcome, kind);
    expect(message).toContain(`answered ${status}`);
    for (const { digest } of model.shards) {
      expect(outcome.proxy.requests("blob", digest)).toBeLessThanOrEqual(32);
    }
  });

  test("one blob alone, keeps what came of the others for the next pull", async () => {
    const [first] = model.shards;
    let refusing = true;
    const fault = ({ digest }: { digest?: string }) =>
      refusing && digest === first?.digest ? { answer: { status: 404 } } : undefined;
    await using outcome = await pullThrough(model, fault);
    expectFailed(outcome, "not-found");
    refusing = false;
    await using again = await pullThrough(model, fault, { cache: outcome.cache });
    await expectPulled(again, model);
    expect(outcome.proxy.bytes() + again.proxy.bytes()).toBeLessThan(1.5 * model.size);
  });
});
