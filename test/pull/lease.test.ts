import { describe, expect, test } from "bun:test";
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { basename, join } from "node:path";
import { untilAborted } from "../../src/lib/abort.ts";
import { withLease } from "../../src/pull/lease.ts";
import { temporaryDirectory } from "../support/temp.ts";

const never = async () => false;

describe("work under a lease", () => {
  test("is done by one, and the others wait for it", async () => {
    const directory = temporaryDirectory();
    const result = join(directory, "result");
    const isDone = async () => existsSync(result);
    let started = 0;
    const work = () =>
      withLease({ directory, name: "job", isDone }, async (working) => {
        started++;
        writeFileSync(working, "");
        await Bun.sleep(50);
        writeFileSync(result, "");
      });
    await Promise.all([work(), work(), work()]);
    expect(started).toBe(1);
    expect(readdirSync(directory)).toEqual(["result"]);
  });

  test("isn't begun when it is done already", async () => {
    const directory = temporaryDirectory();
    await withLease({ directory, name: "job", isDone: async () => true }, () => {
      throw new Error("begun");
    });
    expect(readdirSync(directory)).toEqual([]);
  });

  test("leaves nothing behind when it fails", async () => {
    const directory = join(temporaryDirectory(), "partial");
    const failing = withLease({ directory, name: "job", isDone: never }, async (working) => {
      mkdirSync(working);
      writeFileSync(join(working, "x"), "");
      throw new Error("no luck");
    });
    await expect(failing).rejects.toThrow("no luck");
    expect(readdirSync(directory)).toEqual([]);
  });

  test("is taken over from a holder that is dead, with what that left", async () => {
    const directory = temporaryDirectory();
    writeFileSync(join(directory, "job.lease"), "0123456789abcdef");
    writeFileSync(join(directory, "job.0123456789abcdef"), "half");
    writeFileSync(join(directory, "other.lease"), "");
    let seen: string[] = [];
    const options = { directory, name: "job", isDone: never, timeToLive: 50 };
    await withLease(options, async (working) => {
      writeFileSync(working, "");
      seen = readdirSync(directory).sort();
      expect(seen).toContain(basename(working));
    });
    expect(seen).toHaveLength(3);
    expect(seen).not.toContain("job.0123456789abcdef");
    expect(readdirSync(directory)).toEqual(["other.lease"]);
  });

  test("starts again when the lease was lost and its working file is gone", async () => {
    const directory = temporaryDirectory();
    let attempts = 0;
    await withLease({ directory, name: "job", isDone: async () => attempts === 2 }, async () => {
      if (++attempts > 1) return;
      rmSync(join(directory, "job.lease"));
      throw new Error("ENOENT: somebody took my file");
    });
    expect(attempts).toBe(2);
  });

  test("goes on with what it has after it was stopped, when nobody took over", async () => {
    const directory = temporaryDirectory();
    let attempts = 0;
    const isDone = async () => attempts === 2;
    const options = { directory, name: "job", isDone, inherit: true, timeToLive: 100 };
    await withLease(options, async (working, signal) => {
      if (++attempts === 2) {
        expect(readFileSync(working, "utf8")).toBe("half");
        rmSync(working);
        return;
      }
      writeFileSync(working, "half");
      Bun.sleepSync(200);
      await untilAborted(new Promise(() => {}), signal);
    });
    expect(attempts).toBe(2);
    expect(readdirSync(directory)).toEqual([]);
  });

  test("that fails by itself after it was stopped fails", async () => {
    const directory = temporaryDirectory();
    const options = { directory, name: "job", isDone: never, timeToLive: 100 };
    const failing = withLease(options, async (_, signal) => {
      Bun.sleepSync(200);
      await untilAborted(new Promise(() => {}), signal).catch(() => {});
      throw new Error("no luck");
    });
    await expect(failing).rejects.toThrow("no luck");
  });

  test.each<[string, (path: string) => void]>([
    ["a symlink that leads nowhere", (path) => symlinkSync("nowhere", path)],
    ["a symlink to what never ends", (path) => symlinkSync("/dev/zero", path)],
    ["a directory", (path) => mkdirSync(join(path, "sub"), { recursive: true })],
    ["a pipe", (path) => Bun.spawnSync(["mkfifo", path])],
    ["a file of many gigabytes", (path) => sparseFile(path, 2 ** 40)],
  ])("is taken over from %s in the lease's place", async (_, plant) => {
    const directory = temporaryDirectory();
    plant(join(directory, "job.lease"));
    let started = 0;
    const options = { directory, name: "job", isDone: never, timeToLive: 50 };
    await withLease(options, async () => {
      started++;
    });
    expect(started).toBe(1);
    expect(readdirSync(directory)).toEqual([]);
  });

  test("isn't waited for any longer once the signal aborts", async () => {
    const directory = temporaryDirectory();
    writeFileSync(join(directory, "job.lease"), "0123456789abcdef");
    const controller = new AbortController();
    const { signal } = controller;
    const waiting = withLease({ directory, name: "job", isDone: never, signal }, async () => {});
    controller.abort(new Error("interrupted"));
    await expect(waiting).rejects.toThrow("interrupted");
    expect(readdirSync(directory)).toEqual(["job.lease"]);
  });
});

function sparseFile(path: string, size: number): void {
  writeFileSync(path, "");
  truncateSync(path, size);
}
