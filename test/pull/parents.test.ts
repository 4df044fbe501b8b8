import { describe, expect, test } from "bun:test";
import type { Plan } from "../../src/model/plan.ts";
import { parseReference } from "../../src/oci/reference.ts";
import { withParents } from "../../src/pull/parents.ts";
import { failureOf } from "./fixtures.ts";

const kit = (parent: string): Plan => ({ format: "kitops", files: [], warnings: [], parent });
const nobody = async () => {
  throw new Error("it was followed");
};
const follow = (parent: string, from: string) =>
  withParents(kit(parent), parseReference(from), nobody);

describe("a reference to another ModelKit", () => {
  test.each(["org/base:v1", "base:v1", "@sha256:x", "model.bin:a", ":", "a b.c/x:y"])(
    "isn't followed without a registry, or when it isn't one: %p",
    async (parent) => {
      await failureOf(follow(parent, "jozu.ml/org/kit:v1"), "content");
    },
  );

  test.each([
    "localhost:5000/a/b:v1",
    "localhost/a/b:v1",
    "127.0.0.1/a/b:v1",
    "169.254.169.254/latest/meta-data:v1",
    "[::1]:80/a/b:v1",
  ])("isn't followed into this machine from elsewhere: %s", async (parent) => {
    const { message } = await failureOf(follow(parent, "jozu.ml/org/kit:v1"), "content");
    expect(message).toContain("this machine");
    await expect(follow(parent, "127.0.0.1:5000/org/kit:v1")).rejects.toThrow("it was followed");
  });

  test("isn't followed when it is endless, and isn't looked at for long", async () => {
    const { message } = await failureOf(
      follow(":".repeat(2_000_000), "jozu.ml/org/kit:v1"),
      "content",
    );
    expect(message).toContain("2000000 characters");
  });

  test("is followed to another registry", async () => {
    await expect(follow("ghcr.io/a/b:v1", "jozu.ml/org/kit:v1")).rejects.toThrow("was followed");
  });
});
