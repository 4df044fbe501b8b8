import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { ERROR_CODES, formatErrors, parseErrors, type WireError } from "../../src/oci/errors.ts";

test("the codes are the fourteen of the distribution spec, in capitals and underscores", () => {
  expect(ERROR_CODES).toHaveLength(14);
  expect(new Set(ERROR_CODES).size).toBe(14);
  for (const code of ERROR_CODES) expect(code).toMatch(/^[A-Z_]+$/);
});

describe("formatErrors", () => {
  test("writes the body that the spec describes", () => {
    const body = formatErrors([
      { code: "BLOB_UNKNOWN", message: "blob unknown to registry", detail: { digest: "sha256:0" } },
      { code: "DENIED" },
    ]);
    expect(JSON.parse(body)).toEqual({
      errors: [
        {
          code: "BLOB_UNKNOWN",
          message: "blob unknown to registry",
          detail: { digest: "sha256:0" },
        },
        { code: "DENIED" },
      ],
    });
  });

  test("writes what parseErrors reads back", () => {
    const errors = fc.array(
      fc.record(
        { code: fc.string(), message: fc.string(), detail: fc.jsonValue() },
        { requiredKeys: ["code"] },
      ),
    );
    fc.assert(
      fc.property(errors, (list) => {
        const json = JSON.parse(JSON.stringify(list)) as WireError[];
        expect(parseErrors(formatErrors(list))).toEqual(json);
      }),
    );
  });
});

describe("parseErrors", () => {
  test("keeps codes that registries have of their own", () => {
    expect(parseErrors('{"errors":[{"code":"TAG_INVALID","message":"m"}]}')).toEqual([
      { code: "TAG_INVALID", message: "m" },
    ]);
  });

  test.each([
    "",
    "<html><body>502 Bad Gateway</body></html>",
    "null",
    "[]",
    "1",
    '"errors"',
    "{}",
    '{"errors":null}',
    '{"errors":{"code":"DENIED"}}',
    '{"errors":[]}',
    '{"errors":[null,1,"DENIED",[],{}]}',
    '{"errors":[{"code":1}]}',
    '{"error":"invalid_token"}',
    "[".repeat(100_000),
  ])("finds none in %.40p", (body) => {
    expect(parseErrors(body)).toEqual([]);
  });

  test("takes the entries that are errors and drops the others", () => {
    const body = '{"errors":[null,{"code":"DENIED"},{"message":"x"},{"code":"UNSUPPORTED"}]}';
    expect(parseErrors(body)).toEqual([{ code: "DENIED" }, { code: "UNSUPPORTED" }]);
  });

  test("drops a message that isn't text, and keeps its code and detail", () => {
    expect(parseErrors('{"errors":[{"code":"DENIED","message":{"a":1},"detail":null}]}')).toEqual([
      { code: "DENIED", detail: null },
    ]);
  });
});
