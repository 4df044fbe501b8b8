import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { readdir } from "node:fs/promises";
import { digestOf } from "../../src/oci/digest.ts";
import { OCI_IMAGE_MANIFEST } from "../../src/oci/media-types.ts";
import { startTestRegistry, type TestRegistry } from "../support/registry.ts";
import { expectError, expectErrorBody, newRepository, type TestRepository } from "./repository.ts";
import { head, sendRaw } from "./socket.ts";

let registry: TestRegistry;
let repository: TestRepository;
beforeAll(async () => {
  registry = await startTestRegistry();
  repository = newRepository(registry);
  await repository.pushImage("v1");
});
afterAll(() => registry.stop());

/** A request whose path reaches the server as it is, which no client's URL parser allows. */
async function rawRequest(method: string, path: string, body = "") {
  const headers = { "content-length": body.length, "content-type": OCI_IMAGE_MANIFEST };
  const response = await sendRaw(registry.host, [head(`${method} ${path}`, headers), body]);
  expect(response).toBeDefined();
  return response as NonNullable<typeof response>;
}

describe("Error Codes: what is off the map is 404 with the JSON body", () => {
  test.each([
    "/",
    "/v1/",
    "/v3/",
    "/v2x/",
    "/index.html",
    "/favicon.ico",
    "/V2/",
    "/v2/model",
    "/v2/_catalog/x",
    "/v2/model/tags",
    "/v2/model/tags/other",
    "/v2/model/unknown/v1",
    "/v2/model/blobs/uploads/x/y",
    "//v2/",
    "/%76%32x/",
    "/v2/%",
    "/v2/%zz/tags/list",
    "/v2/%ff/tags/list",
  ])("GET %s", async (path) => {
    const { status, headers, body } = await rawRequest("GET", path);
    expect([400, 404]).toContain(status);
    expect(headers.get("content-type")).toStartWith("application/json");
    expectErrorBody(body);
  });

  test.each(["POST", "PUT", "PATCH", "DELETE", "OPTIONS"])("%s /nowhere", async (method) => {
    await expectError(await fetch(`${registry.url}/nowhere`, { method }), [404, 405]);
  });
});

describe("Error Codes: a method that an endpoint doesn't have is 405 with the JSON body", () => {
  const upload = `blobs/uploads/${crypto.randomUUID()}`;
  const digest = digestOf("x");
  test.each([
    ["POST", "manifests/v1"],
    ["PATCH", "manifests/v1"],
    ["OPTIONS", "manifests/v1"],
    ["POST", `blobs/${digest}`],
    ["PUT", `blobs/${digest}`],
    ["PATCH", `blobs/${digest}`],
    ["GET", "blobs/uploads/"],
    ["PUT", "blobs/uploads/"],
    ["DELETE", "blobs/uploads/"],
    ["POST", upload],
    ["POST", "tags/list"],
    ["PUT", "tags/list"],
    ["DELETE", "tags/list"],
    ["POST", `referrers/${digest}`],
    ["PUT", `referrers/${digest}`],
    ["DELETE", `referrers/${digest}`],
  ])("%s %s", async (method, path) => {
    const response = await repository.fetch(path, { method });
    expect(response.headers.get("allow")).toBeString();
    expect(response.headers.get("allow")?.split(/, */)).not.toContain(method);
    await expectError(response, 405, "UNSUPPORTED");
  });
});

describe("Pulling manifests: a name that doesn't match the spec's expression is NAME_INVALID", () => {
  const invalid = [
    "UPPER",
    "a/B",
    "-a",
    "a-",
    ".a",
    "a.",
    "a..b",
    "a___b",
    "_a",
    "a//b",
    "a/",
    "a%20b",
    "a%00b",
    "a%0ab",
    "a%0d%0ab",
    "é",
    "a%5cb",
    "a%2fb",
    "a%2Fb",
    "..%2fa",
    "a/..%2f..%2fetc",
    "%2e%2e",
    "a/%2e%2e/%2e%2e/%2e%2e/etc",
    "a%252fb",
    "a:b",
    "a@b",
    "a".repeat(256),
    "_layers",
    "a/_manifests",
  ];
  const endpoints: [string, string][] = [
    ["GET", "manifests/v1"],
    ["HEAD", "manifests/v1"],
    ["PUT", "manifests/v1"],
    ["DELETE", "manifests/v1"],
    ["GET", `blobs/${digestOf("x")}`],
    ["DELETE", `blobs/${digestOf("x")}`],
    ["POST", "blobs/uploads/"],
    ["GET", `blobs/uploads/${crypto.randomUUID()}`],
    ["PATCH", `blobs/uploads/${crypto.randomUUID()}`],
    ["PUT", `blobs/uploads/${crypto.randomUUID()}?digest=${digestOf("x")}`],
    ["DELETE", `blobs/uploads/${crypto.randomUUID()}`],
    ["GET", "tags/list"],
    ["GET", `referrers/${digestOf("x")}`],
  ];
  test.each(invalid)("%s", async (name) => {
    for (const [method, path] of endpoints) {
      const { status, headers, body } = await rawRequest(method, `/v2/${name}/${path}`);
      const what = `${method} /v2/${name}/${path}: ${status} ${body}`;
      // What a URL parser resolves on the way is off the map.
      expect([what, [400, 404].includes(status)]).toEqual([what, true]);
      if (method === "HEAD") continue;
      expect(headers.get("content-type")).toStartWith("application/json");
      if (status === 400) expectErrorBody(body, "NAME_INVALID");
      else expectErrorBody(body);
    }
  });

  test("a name that climbs by dots reaches nothing outside, whatever the method", async () => {
    for (const climb of ["..", "../..", "a/../../..", "%2e%2e/%2e%2e", "a/..", "."]) {
      for (const [method, path] of endpoints) {
        const { status } = await rawRequest(method, `/v2/${climb}/${path}`, "x");
        expect([400, 404, 405]).toContain(status);
      }
    }
    expect((await readdir(registry.root)).sort()).toEqual([".ocireg", "docker"]);
  });

  test("a name of 255 characters is fine", async () => {
    const { status, body } = await rawRequest("GET", `/v2/${"a".repeat(255)}/tags/list`);
    expect(status).toBe(404);
    expectErrorBody(body, "NAME_UNKNOWN");
  });
});

describe("Error Codes: no answer tells of the server's inside", () => {
  test("neither paths nor stack traces", async () => {
    const paths = [
      "manifests/unknown",
      `blobs/${digestOf("unknown")}`,
      "blobs/sha256:..%2f..%2f",
      "tags/list?n=x",
      `blobs/uploads/${crypto.randomUUID()}`,
      "referrers/x",
    ];
    for (const path of paths) {
      const text = await (await repository.fetch(path)).text();
      expect(text).not.toContain(registry.root);
      expect(text).not.toContain("node_modules");
      expect(text).not.toContain(".ts");
    }
  });

  test("hostile values come back as JSON text, never as markup or header", async () => {
    const { headers, body } = await rawRequest(
      "GET",
      "/v2/a%0d%0aset-cookie:x%3cscript%3e/tags/list",
    );
    expect(headers.has("set-cookie")).toBe(false);
    expect(headers.get("content-type")).toStartWith("application/json");
    expect(headers.get("x-content-type-options")).toBe("nosniff");
    expectErrorBody(body, "NAME_INVALID");
  });
});

test("Error Codes: the errors of a HEAD have no body", async () => {
  for (const path of ["manifests/unknown", "blobs/nonsense", "tags/list?n=x", "nowhere"]) {
    const response = await repository.fetch(path, { method: "HEAD" });
    expect([400, 404]).toContain(response.status);
    expect(await response.text()).toBe("");
  }
});
