import { describe, expect, test } from "bun:test";
import { oneLine } from "../../src/lib/one-line.ts";

describe("one line", () => {
  test("line breaks become spaces", () => {
    expect(oneLine("  first\r\n  second\n")).toBe("first second");
  });

  test("what would move the cursor or turn the direction of writing is shown as an escape", () => {
    expect(oneLine("a\u001b[31mb\u0007\u202ec")).toBe("a\\u001b[31mb\\u0007\\u202ec");
  });

  test("what can't be seen is shown", () => {
    expect(oneLine("a\u200bb\u200ec\ufeffd\u{e0041}e\ud800f")).toBe(
      "a\\u200bb\\u200ec\\ufeffd\\u{e0041}e\\ud800f",
    );
  });

  test("other text stays as it is", () => {
    expect(oneLine("Größe: 4 MiB – 模型")).toBe("Größe: 4 MiB – 模型");
  });
});
