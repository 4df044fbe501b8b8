import { describe, expect, test } from "bun:test";
import { drawProgress, type ProgressMode } from "../../../src/cli/render/progress.ts";
import { ErrorOutput } from "../../../src/cli/stderr.ts";
import type { TransferEvent } from "../../../src/pull/events.ts";
import { Screen } from "../../support/screen.ts";

const blob = { path: "a.safetensors", size: 4_194_304 };
const progress = (completed: number): TransferEvent => ({
  type: "progress",
  ...blob,
  completed,
  total: 4_194_304,
  rate: 1_048_576,
  blobs: [{ ...blob, completed, rate: 1_048_576 }],
});
const events: TransferEvent[] = [
  { type: "start", completed: 0, total: 4_194_304 },
  progress(1_048_576),
  { type: "retry", attempt: 1, delay: 2000, reason: "connection reset" },
  { type: "verified", ...blob, completed: 4_194_304, total: 4_194_304 },
  { type: "done", completed: 4_194_304, total: 4_194_304 },
];

function draw(mode: ProgressMode, isTTY: boolean, given = events): string {
  let text = "";
  const stderr = new ErrorOutput({ isTTY, columns: 60, write: (part) => (text += part) });
  using drawing = drawProgress(mode, stderr);
  for (const event of given) drawing.listener(event);
  return text;
}

/** A terminal, and who draws on it. */
function onScreen(columns = 60, rows = 24) {
  const screen = new Screen(columns, rows);
  const stderr = new ErrorOutput({
    isTTY: true,
    get columns() {
      return screen.columns;
    },
    get rows() {
      return screen.rows;
    },
    write: (part) => screen.write(part),
  });
  return { screen, stderr, drawing: drawProgress("tty", stderr) };
}

describe("progress as plain lines", () => {
  test("says what matters", () => {
    const lines = draw("plain", false).trimEnd().split("\n");
    expect(lines.slice(0, 3)).toEqual([
      "to transfer: 4 MiB",
      "attempt 1 failed, the next follows in 2s: connection reset",
      "verified a.safetensors",
    ]);
    expect(lines[3]).toMatch(/^done: 4 MiB in \d/);
    expect(lines).toHaveLength(4);
  });

  test("has a heartbeat, also when there is nothing to tell", async () => {
    const lines: string[] = [];
    const heard = Promise.withResolvers<void>();
    const stderr = new ErrorOutput({
      write(text) {
        lines.push(text);
        if (lines.length === 3) heard.resolve();
      },
    });
    using drawing = drawProgress("plain", stderr, { pause: 1, heartbeat: 20 });
    drawing.listener(progress(1_048_576));
    await heard.promise;
    expect(lines[0]).toBe("25% 1 MiB of 4 MiB, 1 MiB/s, 3s left, a.safetensors\n");
    lines.length = 0;
    drawing.listener({ type: "done", completed: 4_194_304, total: 4_194_304 });
    while (lines.length < 2) await Bun.sleep(1);
    expect(lines[1]).toBe("still at work\n");
  });

  test("calls what has no path by its digest and what it is", () => {
    const digest = `sha256:${"b72e50b1a692".padEnd(64, "0")}`;
    const verified: TransferEvent = { type: "verified", digest, completed: 1, total: 1 };
    expect(draw("plain", false, [{ ...verified, kind: "archive" }, verified])).toBe(
      "verified sha256:b72e50b1a692 (archive)\nverified sha256:b72e50b1a692\n",
    );
  });

  test("says once that another process is at work", () => {
    const waiting: TransferEvent = { type: "waiting", path: "model-00001-of-00002.safetensors" };
    const other: TransferEvent = { ...waiting, path: "model-00002-of-00002.safetensors" };
    expect(draw("plain", false, [waiting, other, waiting])).toBe(
      "another process is fetching model-00001-of-00002.safetensors: waiting for it\n",
    );
  });

  test("counts blobs when there are too many to name, and failures when they come at once", () => {
    const many: TransferEvent[] = [
      { type: "start", completed: 0, total: 1000 },
      ...Array.from({ length: 32 }, () => events[2] as TransferEvent),
      ...Array.from(
        { length: 1000 },
        (_, index): TransferEvent => ({
          type: "verified",
          path: `part-${index}`,
          completed: index,
          total: 1000,
        }),
      ),
      { type: "done", completed: 1000, total: 1000 },
    ];
    const lines = draw("plain", false, many).trimEnd().split("\n");
    expect(lines.filter((line) => line.startsWith("attempt"))).toHaveLength(1);
    expect(lines).toHaveLength(1 + 1 + 40 + 1 + 1);
    expect(lines.at(-2)).toBe("verified 960 more");
  });

  test("of nothing says so, and no rate", () => {
    const nothing: TransferEvent[] = [
      { type: "start", completed: 0, total: 0 },
      { type: "done", completed: 0, total: 0 },
    ];
    expect(draw("plain", false, nothing)).toBe(
      "nothing to transfer: everything was there already\n",
    );
    const afterAll: TransferEvent[] = [
      { type: "start", completed: 0, total: 1024, atMost: true },
      { type: "done", completed: 0, total: 0 },
    ];
    expect(draw("plain", false, afterAll)).toBe(
      "to transfer: at most 1 KiB\ndone: everything was there already\n",
    );
  });

  test("of a check says that nothing is moved", () => {
    const check: TransferEvent[] = [
      { type: "start", completed: 0, total: 1024, check: true },
      { type: "done", completed: 1024, total: 1024 },
    ];
    expect(draw("plain", false, check)).toMatch(/^to check: 1 KiB\nchecked: 1 KiB in /);
  });
});

describe("progress on a terminal", () => {
  test("is a status below the lines that stay, and leaves none of it", () => {
    const { screen, drawing } = onScreen();
    for (const event of events.slice(0, 3)) drawing.listener(event);
    expect(screen.text()).toEqual([
      "to transfer: 4 MiB",
      "attempt 1 failed, the next follows in 2s: connection reset",
      "a.safetensors           [==>       ]  25%    1 MiB/s     3s",
      "total                   [==>       ]  25%    1 MiB/s     3s",
    ]);
    for (const event of events.slice(3)) drawing.listener(event);
    const lines = screen.text();
    expect(lines).toHaveLength(4);
    expect(lines[2]).toBe("verified a.safetensors");
    expect(lines[3]).toMatch(/^done: 4 MiB in/);
    expect(screen.isAtLineStart).toBe(true);
  });

  test("has no line for a blob any more once it is verified", () => {
    const { screen, drawing } = onScreen();
    const [one, two] = ["one", "two"].map((path) => ({ path, digest: `sha256:${path}`, size: 9 }));
    const blobs = [one, two].map((subject) => ({ ...subject, completed: 9, rate: 1 }));
    drawing.listener({ type: "progress", completed: 18, total: 18, rate: 1, blobs });
    drawing.listener({ type: "verified", ...one, completed: 18, total: 18 });
    expect(screen.text().map((line) => line.slice(0, 12).trimEnd())).toEqual([
      "verified one",
      "two",
      "total",
    ]);
  });

  test("survives a terminal that changes its size, and lines of others", () => {
    const { screen, stderr, drawing } = onScreen(100, 30);
    drawing.listener(events[0] as TransferEvent);
    const sizes = [40, 20, 120, 33, 12, 80, 21, 60].map((columns) => [columns, 24] as const);
    for (const [index, [columns, rows]] of sizes.entries()) {
      drawing.listener(progress(index * 100_000));
      screen.resize(columns, rows);
      stderr.write("log\n");
    }
    drawing.listener({ type: "error", message: "no luck" });
    expect(screen.text()).toEqual(["to transfer: 4 MiB", ...sizes.map(() => "log")]);
    expect(screen.isAtLineStart).toBe(true);
  });

  test("goes when whoever draws is done, whatever came before", () => {
    const { screen, drawing } = onScreen();
    drawing.listener(progress(1_048_576));
    drawing[Symbol.dispose]();
    expect(screen.text()).toEqual([]);
    expect(screen.isAtLineStart).toBe(true);
  });

  test("assumes 80 columns where nobody knows", () => {
    let text = "";
    const stderr = new ErrorOutput({ isTTY: true, columns: 0, write: (part) => (text += part) });
    using drawing = drawProgress("tty", stderr);
    drawing.listener(progress(1_048_576));
    expect(text.split(/[\r\n]/).map((line) => line.length)).toEqual([79, 79, 0]);
  });

  test("is plain lines where it isn't one, or its cursor can't be moved", () => {
    expect(draw("auto", false)).not.toContain("\r");
    expect(draw("tty", false)).not.toContain("\r");
    expect(draw("auto", true)).toContain("\r");
    const dumb = new ErrorOutput({ isTTY: true, write: () => {} }, false);
    expect(dumb.isTTY).toBe(false);
  });
});

test("progress none is nothing", () => {
  expect(draw("none", true)).toBe("");
});

test("what a registry says can't move the cursor", () => {
  const warning: TransferEvent = { type: "warning", message: "x\u001b[2J\ny" };
  expect(draw("plain", false, [warning])).toBe("warning: x\\u001b[2J y\n");
  expect(draw("json", false, [warning])).not.toContain("\u001b");
});
