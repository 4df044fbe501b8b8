import { describe, expect, test } from "bun:test";
import { cellsOf } from "../../../src/cli/render/cells.ts";
import { renderFrame } from "../../../src/cli/render/frame.ts";
import type { BlobProgress } from "../../../src/pull/events.ts";

const MiB = 1024 * 1024;
const blob = (path: string, more: Partial<BlobProgress> = {}): BlobProgress => ({
  path,
  completed: 256 * MiB,
  size: 1024 * MiB,
  rate: 32 * MiB,
  ...more,
});
const frame = (blobs: BlobProgress[], columns: number, rows = 24) =>
  renderFrame(
    { type: "progress", completed: 1024 * MiB, total: 4096 * MiB, rate: 64 * MiB, blobs },
    columns,
    rows,
  );
const two = [
  blob("model-00001-of-00002.safetensors"),
  blob("tokenizer.json", { completed: 512 * MiB, rate: 0 }),
];

describe("the status of a transfer", () => {
  test("has a line for each blob with bar, bytes, speed and time, and one for the total", () => {
    expect(frame(two, 100)).toEqual([
      "model-00001-of-00002.safetensors             [==>       ]  25%      256 MiB/1 GiB   32 MiB/s    24s",
      "tokenizer.json                               [=====>    ]  50%      512 MiB/1 GiB      0 B/s     --",
      "total                                        [==>       ]  25%        1 GiB/4 GiB   64 MiB/s    48s",
    ]);
  });

  test.each([
    [
      80,
      [
        "model-00001-of-..tensors [==>       ]  25%      256 MiB/1 GiB   32 MiB/s    24s",
        "total             [==>       ]  25%        1 GiB/4 GiB   64 MiB/s    48s",
      ],
    ],
    [
      60,
      [
        "model-00001-of..tensors [==>       ]  25%   32 MiB/s    24s",
        "total                  [==>       ]  25%   64 MiB/s    48s",
      ],
    ],
    [40, ["model-00001-of..tensors  25%   32 MiB/s", "total                  25%   64 MiB/s"]],
    [20, ["model-00..sors  25%", "total           25%"]],
    [10, ["25%", "25%"]],
    [1, ["25%", "25%"]],
  ])("in %d columns has what fits", (columns, lines) => {
    expect(frame(two.slice(0, 1), columns).map((line) => line.replace(/ +/g, " "))).toEqual(
      lines.map((line) => line.replace(/ +/g, " ")),
    );
  });

  test("never reaches the last column, in whatever width and with whatever names", () => {
    const names = [
      "模型".repeat(40),
      "👨‍👩‍👧".repeat(20),
      "a/".repeat(99),
      `x${"\u0301".repeat(500)}`,
      "\u001b[2J",
    ];
    for (let columns = 12; columns < 200; columns++) {
      for (const line of frame(
        names.map((name) => blob(name)),
        columns,
      )) {
        expect(cellsOf(line)).toBeLessThan(columns);
      }
    }
  });

  test("never passes an escape sequence on", () => {
    const lines = frame([blob("\u001b]0;title\u0007\u009b31m\u202emodel")], 120).join("");
    expect(lines).not.toMatch(/[\u001b\u0007\u009b\u202e]/);
    expect(lines).toContain("\\u001b]0;title");
  });

  test("has as many lines as there is room for, and sums up the rest", () => {
    const many = Array.from({ length: 32 }, (_, index) => blob(`part-${index}`));
    expect(frame(many, 80, 50)).toHaveLength(11);
    expect(frame(many, 80, 50).at(-2)).toMatch(/^and 23 more .*5\.75 GiB\/23 GiB +736 MiB\/s/);
    expect(frame(many, 80, 8)).toHaveLength(5);
    expect(frame(many, 80, 5).map((line) => line.slice(0, 11))).toEqual([
      "and 32 more",
      "total      ",
    ]);
    expect(frame(many, 80, 2)).toHaveLength(1);
  });

  test("shows no share of what has no known size, and no time for what doesn't move", () => {
    const { size: _, ...unsized } = blob("model.gguf");
    expect(frame([unsized], 100)[0]).toMatch(/^model\.gguf +-- +256 MiB +32 MiB\/s +--$/);
  });

  test.each([
    [59, "59s"],
    [61, "1m01s"],
    [3 * 3600 + 125, "3h02m"],
    [3 * 86_400 + 5 * 3600, "3d05h"],
    [10_000 * 86_400, "--"],
  ])("tells %d seconds shortly", (left, text) => {
    const [line] = frame([blob("x", { completed: 0, size: left * 1000, rate: 1000 })], 100);
    expect(line).toEndWith(` ${text}`);
  });
});
