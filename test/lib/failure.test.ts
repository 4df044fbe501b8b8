import { expect, test } from "bun:test";
import { Failure } from "../../src/lib/failure.ts";

test("a Failure is an Error that carries its kind, its message and its cause", () => {
  const cause = new Error("ECONNREFUSED");
  const failure = new Failure("network", 'can\'t reach "ghcr.io"', { cause });
  expect(failure).toBeInstanceOf(Error);
  expect(failure.kind).toBe("network");
  expect(failure.message).toBe('can\'t reach "ghcr.io"');
  expect(failure.cause).toBe(cause);
});

test("a Failure prints under its own name", () => {
  expect(String(new Failure("usage", "no reference"))).toBe("Failure: no reference");
});
