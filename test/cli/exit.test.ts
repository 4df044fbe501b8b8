import { describe, expect, test } from "bun:test";
import { Interruption } from "../../src/cli/context.ts";
import { exitCodeOf } from "../../src/cli/exit.ts";
import { BrokenPipe } from "../../src/cli/output.ts";
import { Failure } from "../../src/lib/failure.ts";
import { InvalidReferenceError } from "../../src/oci/reference.ts";

function systemError(code: string, path?: string): Error {
  return Object.assign(new Error(code), { code, ...(path && { path }) });
}

describe("exit codes", () => {
  test.each([
    ["something unexpected", 1, () => new Error("x")],
    ["something that isn't an error", 1, () => "x"],
    ["usage", 2, () => new Failure("usage", "x")],
    ["an invalid reference", 2, () => new InvalidReferenceError("x", "y")],
    ["not found", 3, () => new Failure("not-found", "x")],
    ["not authorised", 4, () => new Failure("unauthorized", "x")],
    ["the network", 5, () => new Failure("network", "x")],
    ["content that doesn't match", 6, () => new Failure("content", "x")],
    ["the disk", 7, () => new Failure("disk", "x")],
    ["a full disk", 7, () => systemError("ENOSPC")],
    ["a directory that may not be written to", 7, () => systemError("EACCES", "/x")],
    ["offline and not cached", 8, () => new Failure("offline", "x")],
    ["an interruption", 130, () => new Interruption("SIGINT")],
    ["a termination", 143, () => new Interruption("SIGTERM")],
    ["a reader of stdout that has seen enough", 0, () => new BrokenPipe("x")],
  ] as [string, number, () => unknown][])("%s: %d", (_, code, error) => {
    expect(exitCodeOf(error())).toBe(code);
  });
});
