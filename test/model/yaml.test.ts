import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { toYaml } from "../../src/model/yaml.ts";

describe("YAML", () => {
  test("is written as people write it", () => {
    const value = {
      manifestVersion: "1.0.0",
      package: { name: "tiny model", authors: ["A", "B: C"], empty: [] },
      code: [{ path: "src", tags: ["x"] }, { path: "true" }],
      "odd key": null,
    };
    expect(toYaml(value)).toBe(
      [
        'manifestVersion: "1.0.0"',
        "package:",
        "  name: tiny model",
        "  authors:",
        "    - A",
        '    - "B: C"',
        "  empty: []",
        "code:",
        "  - path: src",
        "    tags:",
        "      - x",
        '  - path: "true"',
        "odd key: null",
        "",
      ].join("\n"),
    );
    expect(toYaml({})).toBe("{}\n");
  });

  test.each(["yes", "Null", "n", "1", "-", "- a", "a: b", "a #b", " a", "a ", "", "~", "\u2028"])(
    "keeps the text %p a text",
    (text) => {
      expect(Bun.YAML.parse(toYaml({ [text]: [text] }))).toEqual({ [text]: [text] });
    },
  );

  test("means the same as the JSON, whatever that is", () => {
    fc.assert(
      fc.property(fc.dictionary(fc.string({ unit: "grapheme" }), fc.jsonValue()), (value) => {
        const json: unknown = JSON.parse(JSON.stringify(value));
        expect(Bun.YAML.parse(toYaml(json as Record<string, unknown>))).toEqual(json);
      }),
    );
  });
});
