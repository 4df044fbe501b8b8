import { describe, expect, test } from "bun:test";
import { Gate, mapConcurrently } from "../../src/lib/pool.ts";

describe("mapConcurrently", () => {
  test("gives the results in the order of the items, whichever ends first", async () => {
    const results = await mapConcurrently([30, 1, 10], 3, async (delay, index) => {
      await Bun.sleep(delay);
      return `${index}: ${delay}`;
    });
    expect(results).toEqual(["0: 30", "1: 1", "2: 10"]);
  });

  test("runs as many at a time as its limit, and never more", async () => {
    let running = 0;
    let most = 0;
    await mapConcurrently(Array.from({ length: 50 }), 4, async () => {
      running += 1;
      most = Math.max(most, running);
      await Bun.sleep(0);
      running -= 1;
    });
    expect(most).toBe(4);
  });

  test("gives nothing for nothing", async () => {
    expect(await mapConcurrently([], 4, async () => 1)).toEqual([]);
  });

  test("throws the first failure after what runs has ended, and starts nothing further", async () => {
    const events: string[] = [];
    const failing = mapConcurrently([0, 1, 2, 3, 4], 2, async (item) => {
      events.push(`${item} begins`);
      if (item === 0) throw new Error("failed");
      await Bun.sleep(5);
      events.push(`${item} ends`);
    });
    await failing.then(
      () => expect.unreachable(),
      (error: Error) => expect(error.message).toBe("failed"),
    );
    expect(events).toEqual(["0 begins", "1 begins", "1 ends"]);
  });
});

describe("a gate", () => {
  test("lets tasks in as others leave, in the order in which they came", async () => {
    const gate = new Gate(2);
    const log: string[] = [];
    const tasks = [0, 1, 2, 3].map(() => Promise.withResolvers<void>());
    const running = tasks.map(({ promise }, index) =>
      gate.run(async () => {
        log.push(`in ${index}`);
        await promise;
        log.push(`out ${index}`);
        return index;
      }),
    );
    tasks[1]?.resolve();
    await running[1];
    tasks[2]?.resolve();
    await running[2];
    tasks[0]?.resolve();
    tasks[3]?.resolve();
    expect(await Promise.all(running)).toEqual([0, 1, 2, 3]);
    expect(log.slice(0, 6)).toEqual(["in 0", "in 1", "out 1", "in 2", "out 2", "in 3"]);
  });

  test("is free again after a failure", async () => {
    const gate = new Gate(1);
    const failed = await gate.run(() => Promise.reject(new Error("no"))).catch(String);
    expect(failed).toBe("Error: no");
    expect(await gate.run(async () => "next")).toBe("next");
  });
});
