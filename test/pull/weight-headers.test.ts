import { expect, test } from "bun:test";
import { ggufHeadIn } from "../../src/pull/weight-headers.ts";
import { failureOf } from "./fixtures.ts";

test("the head of a file that got shorter meanwhile isn't waited for", async () => {
  const start = Buffer.concat([Buffer.from("GGUF"), Buffer.from([3, 0, 0, 0])]);
  const file = {
    size: 1_000_000,
    read: async (from: number, to: number) => start.subarray(from, to),
  };
  const { message } = await failureOf(ggufHeadIn(file, "the file"), "content");
  expect(message).toContain("its metadata goes beyond 8 bytes");
});
