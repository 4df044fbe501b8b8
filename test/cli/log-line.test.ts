import { expect, test } from "bun:test";
import { jsonLine } from "../../src/cli/log-line.ts";

test("no property of a JSON line takes the place of its time, level or message", () => {
  const line = jsonLine("info", "text", { time: "25s", level: 1, message: "", more: null }, 0);
  expect(line).toBe(
    '{"time":"1970-01-01T00:00:00.000Z","level":"info","message":"text","more":null}\n',
  );
});
