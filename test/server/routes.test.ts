import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { parseRoute } from "../../src/server/routes.ts";

const digest = `sha256:${"a".repeat(64)}`;
const id = "0b0c0d0e-1111-2222-3333-444455556666";

describe("a route", () => {
  test.each([
    ["GET", "/v2", { resource: "base" }],
    ["GET", "/v2/", { resource: "base" }],
    ["GET", "/v2/_catalog", { resource: "catalog" }],
    ["HEAD", `/v2/a/blobs/${digest}`, { resource: "blob", repository: "a", digest }],
    ["GET", "/v2/a/b/manifests/v1", { resource: "manifest", repository: "a/b", reference: "v1" }],
    ["POST", "/v2/a/b/blobs/uploads/", { resource: "uploads", repository: "a/b" }],
    ["POST", "/v2/a/b/blobs/uploads", { resource: "uploads", repository: "a/b" }],
    ["PATCH", `/v2/a/blobs/uploads/${id}`, { resource: "upload", repository: "a", id }],
    ["GET", "/v2/a/tags/list", { resource: "tags", repository: "a" }],
    ["GET", `/v2/a/referrers/${digest}`, { resource: "referrers", repository: "a", digest }],
  ] as const)("of %s %s is found", (method, path, route) => {
    expect(parseRoute(method, path)).toEqual(route);
  });

  test.each([
    ["/v2/blobs/uploads/manifests/v1", "blobs/uploads", "manifest"],
    ["/v2/tags/list/tags/list", "tags/list", "tags"],
    ["/v2/manifests/manifests/manifests", "manifests", "manifest"],
    ["/v2/a/blobs/uploads/blobs/uploads/", "a/blobs/uploads", "uploads"],
  ])("%s is read from its end, as repositories may be called anything", (path, name, resource) => {
    const method = resource === "uploads" ? "POST" : "GET";
    expect(parseRoute(method, path)).toMatchObject({ repository: name, resource });
  });

  test("may have its colon percent-encoded, but no slash", () => {
    expect(parseRoute("GET", `/v2/a/blobs/${digest.replace(":", "%3A")}`)).toMatchObject({
      digest,
    });
    expect(parseRoute("GET", "/v2/a%2fb/tags/list")).toEqual({
      problem: "invalid-name",
      name: "a%2Fb",
    });
  });

  test.each(["/", "/v1/", "/v2x/", "/v2/a", "/v2/a/b", "/v2/a/tags/lists", "/v2/%zz/tags/list"])(
    "of %s isn't there",
    (path) => {
      expect(parseRoute("GET", path)).toEqual({ problem: "not-found" });
    },
  );

  test("tells the methods that its resource has", () => {
    expect(parseRoute("PUT", "/v2/a/tags/list")).toEqual({
      problem: "method",
      allowed: ["GET", "HEAD"],
    });
  });

  test("never names a repository that isn't one, whatever the path", () => {
    const segment = fc.oneof(
      fc.constantFrom(
        "..",
        ".",
        "",
        "a",
        "blobs",
        "uploads",
        "manifests",
        "tags",
        "list",
        "%2e%2e",
      ),
      fc.string({ maxLength: 8 }),
    );
    fc.assert(
      fc.property(fc.array(segment, { maxLength: 8 }), (segments) => {
        const route = parseRoute("GET", `/v2/${segments.join("/")}`);
        if ("repository" in route) expect(route.repository).toMatch(/^[a-z0-9][a-z0-9._/-]*$/);
      }),
    );
  });
});
