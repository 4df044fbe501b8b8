import { describe, expect, test } from "bun:test";
import { jsonText, oneLine } from "../../src/lib/one-line.ts";

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
    expect(oneLine("two  spaces")).toBe("two  spaces");
  });

  // A pattern for white space around a line break looks for one from each space on.
  test("much white space takes no longer than other text", () => {
    const text = `a${" ".repeat(2_000_000)}b`;
    expect(oneLine(`${text}\n \n\r\n ${text}`)).toBe(`${text} ${text}`);
  });
});

describe("JSON on one line", () => {
  test("is JSON", () => {
    const value = { text: "Größe\n\u0085\u2028\u009b2J\u202e\u{e0041}\u007f", list: [1, null] };
    expect(JSON.parse(jsonText(value))).toEqual(value);
  });

  test("has nothing in it that ends a line, moves the cursor or turns the direction", () => {
    expect(jsonText("a\n\u0085\u2028\u2029\u007f\u009b\u202e\u200b\u{e0041}z")).toBe(
      '"a\\n\\u0085\\u2028\\u2029\\u007f\\u009b\\u202e\\u200b\\udb40\\udc41z"',
    );
  });
});
