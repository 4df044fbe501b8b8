/** `GET /v2/_catalog`: outside the spec, but expected of registries; paged as tags are. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { startTestRegistry, type TestRegistry } from "../support/registry.ts";
import { expectError, nextPage, TestRepository } from "./repository.ts";

let registry: TestRegistry;
const names = ["a", "a-b", "a.b", "a/b", "a/b/c", "a/b-c", "aa", "b", "library/model", "z/y/x/w"];
/** The order that the catalogue has: of the names as text. */
const sorted = [...names].sort();

beforeAll(async () => {
  registry = await startTestRegistry();
  for (const name of names) await new TestRepository(registry.url, name).pushImage("v1");
});
afterAll(() => registry.stop());

const list = async (query = "") => {
  const response = await fetch(`${registry.url}/v2/_catalog${query}`);
  expect(response.status).toBe(200);
  return { response, ...((await response.json()) as { repositories: string[] }) };
};

describe("Listing repositories", () => {
  test("gives all of them in ASCII order", async () => {
    const { repositories, response } = await list();
    expect(repositories).toEqual(sorted);
    expect(response.headers.get("content-type")).toStartWith("application/json");
    expect(response.headers.has("link")).toBe(false);
  });

  test("n and Link lead through all of them, whatever the page's size", async () => {
    for (const n of [1, 3, 4, 9]) {
      const found: string[] = [];
      for (let url: string | undefined = `${registry.url}/v2/_catalog?n=${n}`; url; ) {
        const response: Response = await fetch(url);
        found.push(...((await response.json()) as { repositories: string[] }).repositories);
        url = nextPage(response);
      }
      expect(found).toEqual(sorted);
    }
  });

  test("last begins after it, whether it is there or not", async () => {
    for (const last of [...sorted, "a/a", "a/b/", "a0", "0", "zz"]) {
      const expected = sorted.filter((name) => name > last);
      expect((await list(`?last=${encodeURIComponent(last)}`)).repositories).toEqual(expected);
      const { repositories } = await list(`?n=2&last=${encodeURIComponent(last)}`);
      expect(repositories).toEqual(expected.slice(0, 2));
    }
  });

  test("n=0 gives an empty list and no Link", async () => {
    const { repositories, response } = await list("?n=0");
    expect(repositories).toEqual([]);
    expect(response.headers.has("link")).toBe(false);
  });

  test.each(["-1", "a", "1.5"])("n=%s isn't a number: 400", async (n) => {
    await expectError(await fetch(`${registry.url}/v2/_catalog?n=${n}`), 400);
  });

  test("a hostile last does no harm", async () => {
    for (const last of [
      "../../..",
      "..%2f..",
      "%00",
      "a/../..",
      "/",
      "_layers",
      "x".repeat(5000),
    ]) {
      const response = await fetch(`${registry.url}/v2/_catalog?last=${last}`);
      expect([200, 400]).toContain(response.status);
      await response.arrayBuffer();
    }
  });

  test("shows no repository that holds blobs alone, and none before a manifest was pushed", async () => {
    const blobsOnly = new TestRepository(registry.url, "blobs-only");
    await blobsOnly.pushBlob("x");
    await new TestRepository(registry.url, "session-only").startUpload();
    expect((await list()).repositories).toEqual(sorted);
  });

  test("an empty registry has an empty list", async () => {
    const empty = await startTestRegistry();
    try {
      const response = await fetch(`${empty.url}/v2/_catalog`);
      expect(await response.json()).toEqual({ repositories: [] });
    } finally {
      await empty.stop();
    }
  });
});
