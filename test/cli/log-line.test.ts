import { expect, test } from "bun:test";
import { jsonLine } from "../../src/cli/log-line.ts";

test("no property of a JSON line takes the place of its time, level or message", () => {
  const line = jsonLine("info", "text", { time: "25s", level: 1, message: "", more: null }, 0);
  expect(line).toBe(
    '{"time":"1970-01-01T00:00:00.000Z","level":"info","message":"text","more":null}\n',
  );
});

test("a JSON line is one for whoever reads it, whatever a stranger wrote", () => {
  const line = jsonLine("info", "text", { path: "a\u2028b\u0085c\u009b2J" }, 0);
  expect(line.split(/[\n\r\u0085\u2028\u2029]/)).toEqual([line.trimEnd(), ""]);
  expect(line).toContain("a\\u2028b\\u0085c\\u009b2J");
});
