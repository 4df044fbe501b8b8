import { describe, expect, test } from "bun:test";
import { drawProgress, type ProgressMode } from "../../../src/cli/render/progress.ts";
import { ErrorOutput } from "../../../src/cli/stderr.ts";
import type { TransferEvent } from "../../../src/pull/events.ts";

const events: TransferEvent[] = [
  { type: "start", completed: 0, total: 4_194_304 },
  {
    type: "progress",
    path: "a.safetensors",
    completed: 1_048_576,
    total: 4_194_304,
    rate: 1_048_576,
  },
  { type: "retry", attempt: 1, delay: 2000, reason: "connection reset" },
  { type: "verified", path: "a.safetensors", completed: 4_194_304, total: 4_194_304 },
  { type: "done", completed: 4_194_304, total: 4_194_304 },
];

function draw(mode: ProgressMode, isTTY: boolean, given = events): string {
  let text = "";
  const stderr = new ErrorOutput({ isTTY, columns: 60, write: (part) => (text += part) });
  const listener = drawProgress(mode, stderr);
  for (const event of given) listener(event);
  return text;
}

describe("progress", () => {
  test("as JSON is each event, one a line", () => {
    expect(
      draw("json", false)
        .trimEnd()
        .split("\n")
        .map((line) => JSON.parse(line)),
    ).toEqual(events);
  });

  test("as plain lines says what matters, and how far it is only now and then", () => {
    const lines = draw("plain", false).trimEnd().split("\n");
    expect(lines.slice(0, 3)).toEqual([
      "to transfer: 4 MiB",
      "attempt 1 failed, the next follows in 2s: connection reset",
      "verified a.safetensors",
    ]);
    expect(lines[3]).toMatch(/^done: 4 MiB in \d/);
    expect(lines).toHaveLength(4);
  });

  test("on a terminal is a status line below the lines that stay", () => {
    const text = draw("tty", true);
    expect(text).toContain("\r\u001b[2K25% 1 MiB of 4 MiB, 1 MiB/s, 3s left, a.safetensors");
    expect(text).toMatch(/\r\u001b\[2Kdone: 4 MiB in [^\r]+\n$/);
  });

  test("calls what has no path by its digest and what it is", () => {
    const digest = `sha256:${"b72e50b1a692".padEnd(64, "0")}`;
    const verified: TransferEvent = { type: "verified", digest, completed: 1, total: 1 };
    expect(draw("plain", false, [{ ...verified, kind: "archive" }, verified])).toBe(
      "verified sha256:b72e50b1a692 (archive)\nverified sha256:b72e50b1a692\n",
    );
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

  test("none is nothing", () => {
    expect(draw("none", true)).toBe("");
  });

  test("auto looks at where it goes", () => {
    expect(draw("auto", false)).not.toContain("\r");
    expect(draw("auto", true)).toContain("\r");
  });

  test("what a registry says can't move the cursor", () => {
    const warning: TransferEvent = { type: "warning", message: "x\u001b[2J\ny" };
    expect(draw("plain", false, [warning])).toBe("warning: x\\u001b[2J y\n");
    expect(draw("json", false, [warning])).not.toContain("\u001b");
  });
});
