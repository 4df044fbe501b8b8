import { describe, expect, test } from "bun:test";
import { KeyedLock } from "../../src/lib/lock.ts";

describe("KeyedLock", () => {
  test("runs the tasks of one key one after another, in the order of asking", async () => {
    const lock = new KeyedLock();
    const events: string[] = [];
    const task = (name: string) => async () => {
      events.push(`${name} begins`);
      await Bun.sleep(1);
      events.push(`${name} ends`);
    };
    await Promise.all(["a", "b", "c"].map((name) => lock.run("key", task(name))));
    expect(events).toEqual(["a begins", "a ends", "b begins", "b ends", "c begins", "c ends"]);
  });

  test("lets the tasks of different keys run at the same time", async () => {
    const lock = new KeyedLock();
    const { promise, resolve } = Promise.withResolvers<void>();
    const waiting = lock.run("a", () => promise);
    expect(await lock.run("b", async () => 1)).toBe(1);
    resolve();
    await waiting;
  });

  test("gives what the task gives, and throws what it throws", async () => {
    const lock = new KeyedLock();
    expect(await lock.run("key", async () => 1)).toBe(1);
    const failing = lock.run("key", async () => {
      throw new Error("failed");
    });
    await expect(failing).rejects.toThrow("failed");
  });

  test("goes on after a task that failed", async () => {
    const lock = new KeyedLock();
    const failed = lock.run("key", () => Promise.reject(new Error("failed"))).catch(() => "caught");
    const next = lock.run("key", async () => "next");
    expect(await Promise.all([failed, next])).toEqual(["caught", "next"]);
  });
});
