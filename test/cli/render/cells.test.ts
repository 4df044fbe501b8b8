import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { cellsOf, cutEnd, cutPath, padEnd, padStart } from "../../../src/cli/render/cells.ts";

describe("the cells of a text", () => {
  test.each([
    ["model", 5],
    ["模型", 4],
    ["é", 1],
    ["e\u0301", 1],
    ["😀", 2],
    ["❤\ufe0f", 2],
  ])("of %s", (text, cells) => {
    expect(cellsOf(text)).toBeGreaterThanOrEqual(cells);
  });

  test("are never fewer than a terminal takes for the whole", () => {
    fc.assert(
      fc.property(fc.string({ unit: "grapheme", maxLength: 40 }), (text) => {
        const printable = text.replace(/\p{C}/gu, "");
        expect(cellsOf(printable)).toBeGreaterThanOrEqual(Bun.stringWidth(printable));
      }),
    );
  });
});

describe("cutting", () => {
  test("leaves what fits as it is", () => {
    expect(cutEnd("model", 5)).toBe("model");
    expect(cutPath("a/b/model", 9)).toBe("a/b/model");
  });

  test("takes a path's directories first, then the middle of its name", () => {
    expect(cutPath("weights/model.gguf", 12)).toBe("model.gguf");
    expect(cutPath("model-00017-of-00030.safetensors", 20)).toBe("model-00017-..ensors");
  });

  test("doesn't halve what is two cells wide", () => {
    expect(cutEnd("模型模型", 5)).toBe("模..");
  });

  test("takes marks that are heaped on one letter", () => {
    expect(cutEnd(`a${"\u0301".repeat(1000)}b`, 10)).toBe("a\u0301\u0301b");
  });

  test("always fits, whatever the text and the width", () => {
    fc.assert(
      fc.property(
        fc.string({ unit: "binary", maxLength: 60 }),
        fc.integer({ min: 0, max: 40 }),
        (text, cells) => {
          expect(cellsOf(cutEnd(text, cells))).toBeLessThanOrEqual(cells);
          expect(cellsOf(cutPath(text, cells))).toBeLessThanOrEqual(cells);
        },
      ),
    );
  });
});

test("padding counts cells, not letters", () => {
  expect(padEnd("模", 4)).toBe("模  ");
  expect(padStart("模", 4)).toBe("  模");
});
