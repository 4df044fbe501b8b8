import { describe, expect, test } from "bun:test";
import { ProgressMeter, type TransferEvent } from "../../src/pull/events.ts";

const one = { digest: "sha256:1", path: "one", size: 100 };
const two = { digest: "sha256:2", kind: "archive", size: 50 } as const;

/** What a meter tells next about how far it is. */
async function nextProgress(events: TransferEvent[]) {
  events.length = 0;
  for (;;) {
    const found = events.find((event) => event.type === "progress");
    if (found) return found;
    await Bun.sleep(5);
  }
}

describe("a progress meter", () => {
  test("tells of the whole, of each blob in flight, and goes on when nothing moves", async () => {
    const events: TransferEvent[] = [];
    using meter = new ProgressMeter(150, (event) => events.push(event));
    expect(events).toEqual([{ type: "start", completed: 0, total: 150 }]);
    meter.advance(10, one);
    meter.advance(20, two);
    meter.skip(30, one);
    expect(await nextProgress(events)).toEqual({
      type: "progress",
      ...two,
      completed: 30,
      total: 120,
      rate: expect.any(Number),
      blobs: [
        { ...one, completed: 40, rate: expect.any(Number) },
        { ...two, completed: 20, rate: expect.any(Number) },
      ],
    });
    meter.advance(-10, one);
    meter.verified(two);
    expect(events.at(-1)).toEqual({ type: "verified", ...two, completed: 20, total: 120 });
    const { completed, blobs } = await nextProgress(events);
    expect({ completed, blobs }).toEqual({
      completed: 20,
      blobs: [{ ...one, completed: 30, rate: expect.any(Number) }],
    });
  });

  test("says when bytes are only read, or may be there already", () => {
    const starts: TransferEvent[] = [];
    for (const nature of ["check", "at most"] as const) {
      using _ = new ProgressMeter(1, (event) => starts.push(event), nature);
    }
    expect(starts).toEqual([
      { type: "start", completed: 0, total: 1, check: true },
      { type: "start", completed: 0, total: 1, atMost: true },
    ]);
  });

  test("is silent once it is done", async () => {
    const events: TransferEvent[] = [];
    const meter = new ProgressMeter(1, (event) => events.push(event));
    meter.done();
    await Bun.sleep(300);
    expect(events.map(({ type }) => type)).toEqual(["start", "done"]);
  });
});
