/** Bytes that aren't those of the digest: damaged on the way, or changed at the source. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import type { TestRegistry } from "../support/registry.ts";
import {
  expectFailed,
  expectPulled,
  MEBIBYTE,
  newCache,
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

/** Changes one bit of the byte at `place` of a blob. */
const flip = (place: number) => (chunk: Uint8Array, offset: number) => {
  const index = place - offset;
  if (index >= 0 && index < chunk.byteLength) chunk[index] = (chunk[index] ?? 0) ^ 1;
  return chunk;
};

describe("a flipped bit", () => {
  test.each([
    ["first", 0],
    ["middle", 12 * MEBIBYTE],
    ["last", 24 * MEBIBYTE],
  ])("in the %s byte, once, is mended by fetching again", async (_, place) => {
    const [shard] = model.shards;
    let done = false;
    await using outcome = await pullThrough(model, ({ digest, start, headers }) => {
      const end = Number(/-(\d+)$/.exec(headers.get("range") ?? "")?.[1] ?? Infinity);
      if (done || digest !== shard?.digest || place < start || place > end) return undefined;
      done = true;
      return { change: flip(place) };
    });
    await expectPulled(outcome, model);
    expect(done).toBe(true);
    const retry = outcome.events.find(({ type }) => type === "retry");
    expect(retry).toMatchObject({ reason: expect.stringContaining(shard?.digest ?? "") });
  });

  test("each time ends the pull, which names the host and the blob and keeps none of it", async () => {
    const [bad, good] = model.shards;
    const cache = newCache();
    await using outcome = await pullThrough(
      model,
      ({ digest }) => (digest === bad?.digest ? { change: flip(5000) } : undefined),
      { cache },
    );
    const { message } = expectFailed(outcome, "content");
    expect(message).toContain(outcome.proxy.host);
    expect(message).toContain(bad?.digest ?? "no digest");
    const partial = readdirSync(join(cache.root, "partial"));
    expect(partial.filter((name) => name.includes(hexOf(bad?.digest)))).toEqual([]);
    // Twice at the most, and the other blob isn't blamed for it.
    expect(outcome.proxy.bytes(bad?.digest)).toBeLessThanOrEqual(2 * (bad?.size ?? 0) + MEBIBYTE);

    await using again = await pullThrough(model, () => undefined, { cache });
    await expectPulled(again, model);
    expect(outcome.proxy.bytes(good?.digest) + again.proxy.bytes(good?.digest)).toBeLessThanOrEqual(
      1.5 * (good?.size ?? 0),
    );
  });

  test("in the manifest is found by its digest", async () => {
    await using outcome = await pullThrough(model, ({ kind }) =>
      kind === "manifest" ? { change: flip(300) } : undefined,
    );
    expectFailed(outcome, "content");
  });
});

describe("content that changes in the middle of a pull", () => {
  const otherBytes = (chunk: Uint8Array) => chunk.map((byte) => byte ^ 0xff);

  test("with its validator isn't mixed with what came before", async () => {
    await using outcome = await pullThrough(
      model,
      onShards(model, (number) => ({
        headers: { etag: number === 1 ? '"first"' : '"second"' },
        ...(number > 1 && { change: otherBytes }),
      })),
    );
    expectFailed(outcome, "content");
  });

  test("and comes back is taken as it was", async () => {
    await using outcome = await pullThrough(
      model,
      onShards(model, (number) => {
        const isOther = number > 4 && number <= 8;
        return {
          headers: { etag: isOther ? '"second"' : '"first"' },
          ...(isOther && { change: otherBytes }),
        };
      }),
    );
    await expectPulled(outcome, model);
  });

  test("in name alone costs no wrong bytes", async () => {
    await using outcome = await pullThrough(
      model,
      onShards(model, (number) => ({ headers: { etag: `"${number}"` } })),
    );
    await expectPulled(outcome, model);
  });

  test("between two pulls isn't mixed either", async () => {
    const cache = newCache();
    await using first = await pullThrough(
      model,
      onShards(model, (number) =>
        number <= 2
          ? { headers: { etag: '"first"' }, change: otherBytes, cutAfter: 8 * MEBIBYTE }
          : { answer: { status: 404 } },
      ),
      { cache },
    );
    expectFailed(first, "not-found");
    await using second = await pullThrough(model, () => ({ headers: { etag: '"second"' } }), {
      cache,
    });
    await expectPulled(second, model);
  });
});

function hexOf(digest = ""): string {
  return digest.replace("sha256:", "");
}
