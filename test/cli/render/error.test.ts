import { describe, expect, test } from "bun:test";
import { renderError, renderStacks } from "../../../src/cli/render/error.ts";
import { Failure } from "../../../src/lib/failure.ts";

describe("errors", () => {
  test("that were foreseen say what they say, on one line", () => {
    expect(renderError(new Failure("network", "a\nb\u001b[1m"))).toBe("a b\\u001b[1m");
  });

  test("that nobody foresaw are called so", () => {
    expect(renderError(new TypeError("x is not a function"))).toBe(
      "unexpected error: x is not a function",
    );
    expect(renderError("text")).toBe("unexpected error: text");
  });

  test("of the operating system say that it was the local disk", () => {
    const error = Object.assign(new Error("EROFS: read-only file system, mkdir '/x'"), {
      code: "EROFS",
    });
    expect(renderError(error)).toBe(
      "the local disk refuses: EROFS: read-only file system, mkdir '/x'",
    );
  });

  test("show their causes to who asks for stacks", () => {
    const cause = new Error("the cause");
    const stacks = renderStacks(new Failure("disk", "the failure", { cause }));
    expect(stacks).toContain("the failure");
    expect(stacks).toContain("caused by: Error: the cause");
    expect(stacks).toContain("error.test.ts");
  });
});
