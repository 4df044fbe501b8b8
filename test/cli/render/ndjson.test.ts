import { describe, expect, test } from "bun:test";
import { ObjectLines } from "../../../src/cli/render/ndjson.ts";
import type { TransferEvent } from "../../../src/pull/events.ts";

const progress = (completed: number): TransferEvent => ({
  type: "progress",
  completed,
  total: 1000,
  rate: 10,
});
const verified = (path: string): TransferEvent => ({
  type: "verified",
  path,
  completed: 1,
  total: 1000,
});

interface Written {
  readonly type: string;
  readonly path?: string;
  readonly completed?: number;
  readonly total?: number;
  readonly rate?: number;
  readonly blobs?: readonly { path: string }[];
}

function writing(rhythm = { pause: 250, heartbeat: 10_000 }) {
  const written: Written[] = [];
  const lines = new ObjectLines((line) => {
    // Some programs end a line at each of them.
    expect(line.split(/[\n\r\u0085\u2028\u2029]/)).toEqual([line.slice(0, -1), ""]);
    written.push(JSON.parse(line));
  }, rhythm);
  return { lines, written };
}

describe("progress as JSON", () => {
  test("is one line an event, whatever is in the name of a file", () => {
    const { lines, written } = writing();
    const path = 'a\u2028{"type":"done"}\u0085b';
    lines.listener(verified(path));
    lines[Symbol.dispose]();
    expect(written).toMatchObject([{ type: "verified", path }]);
  });

  test("is each event, one a line, when they don't come too fast", async () => {
    const { lines, written } = writing({ pause: 1, heartbeat: 10_000 });
    const events: TransferEvent[] = [
      { type: "start", completed: 0, total: 1000 },
      progress(10),
      { type: "retry", attempt: 1, delay: 2000, reason: "connection reset" },
      verified("a"),
      { type: "warning", message: "x\ny" },
      { type: "done", completed: 1000, total: 1000 },
    ];
    for (const event of events) {
      lines.listener(event);
      await Bun.sleep(5);
    }
    lines[Symbol.dispose]();
    expect(written).toEqual(events as Written[]);
  });

  test("leaves out progress that comes too early or tells nothing new", async () => {
    const { lines, written } = writing({ pause: 20, heartbeat: 10_000 });
    for (let completed = 1; completed <= 100; completed++) lines.listener(progress(completed));
    expect(written).toEqual([progress(1)] as Written[]);
    await Bun.sleep(25);
    lines.listener(progress(100));
    lines.listener(progress(101));
    expect(written).toEqual([progress(1), progress(101)] as Written[]);
    lines[Symbol.dispose]();
  });

  test("gathers what was verified and what failed too fast for a line each", () => {
    const { lines, written } = writing();
    for (let index = 0; index < 5000; index++) lines.listener(verified(`part-${index}`));
    for (let attempt = 1; attempt <= 32; attempt++) {
      lines.listener({ type: "retry", attempt, delay: 1, reason: "reset" });
    }
    lines.listener({ type: "done", completed: 1000, total: 1000 });
    lines[Symbol.dispose]();
    expect(written.length).toBeLessThanOrEqual(4);
    const paths = written
      .filter(({ type }) => type === "verified")
      .flatMap((line) => line.blobs?.map(({ path }) => path) ?? [line.path]);
    expect(paths).toHaveLength(5000);
    expect(written.find(({ type }) => type === "retry")).toMatchObject({ attempt: 32, count: 32 });
    expect(written.at(-1)?.type).toBe("done");
  });

  test("has a heartbeat, which repeats how far it is", async () => {
    const { lines, written } = writing({ pause: 5, heartbeat: 15 });
    lines.listener({ type: "start", completed: 0, total: 1000 });
    while (written.length < 3) await Bun.sleep(1);
    lines[Symbol.dispose]();
    expect(written.slice(1, 3)).toEqual([
      { type: "progress", completed: 0, total: 1000, rate: 0 },
      { type: "progress", completed: 0, total: 1000, rate: 0 },
    ]);
  });
});
