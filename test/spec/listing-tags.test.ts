import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { startTestRegistry, type TestRegistry } from "../support/registry.ts";
import { expectError, newRepository, nextPage, type TestRepository } from "./repository.ts";

let registry: TestRegistry;
let repository: TestRepository;
/** In ASCII order: digits, capitals, underscore, small letters. */
const tags = ["1.0", "10", "2", "A", "Z", "_x", "a", "a-b", "a.b", "aa", "b", "z"];

beforeAll(async () => {
  registry = await startTestRegistry();
  repository = newRepository(registry);
  const image = await repository.newImage();
  for (const tag of [...tags].reverse()) await repository.pushManifest(image, tag);
});
afterAll(() => registry.stop());

/** All pages from one on, and how many there are. */
async function follow(first: string): Promise<{ found: string[]; pages: number }> {
  const found: string[] = [];
  let pages = 0;
  for (let url: string | undefined = first; url !== undefined; pages++) {
    const response: Response = await fetch(url);
    expect(response.status).toBe(200);
    found.push(...((await response.json()) as { tags: string[] }).tags);
    url = nextPage(response);
  }
  return { found, pages };
}

describe("Listing Tags", () => {
  test("is 200, with the repository's name and all tags in ASCII order", async () => {
    const response = await repository.fetch("tags/list");
    expect(response.status).toBe(200);
    expect(response.headers.get("content-type")).toStartWith("application/json");
    expect(response.headers.has("link")).toBe(false);
    expect(await response.json()).toEqual({ name: repository.name, tags });
  });

  test("of an unknown repository is 404 with NAME_UNKNOWN", async () => {
    const response = await newRepository(registry).fetch("tags/list");
    await expectError(response, 404, "NAME_UNKNOWN");
  });

  test("of a repository that others lie below, and that is none itself, is 404", async () => {
    const parent = Object.assign(newRepository(registry), { name: "spec" });
    await expectError(await parent.fetch("tags/list"), 404, "NAME_UNKNOWN");
  });

  test("is an empty list when everything was pushed by digest, or every tag was deleted", async () => {
    const other = newRepository(registry);
    await other.pushImage();
    expect(await other.tags()).toEqual([]);
    await other.pushImage("v1");
    await other.fetch("manifests/v1", { method: "DELETE" });
    expect(await other.tags()).toEqual([]);
  });

  test("shows no tag of a repository inside the repository", async () => {
    const child = Object.assign(newRepository(registry), { name: `${repository.name}/child` });
    await child.pushImage("child-tag");
    expect(await repository.tags()).toEqual(tags);
    expect(await child.tags()).toEqual(["child-tag"]);
  });

  test("a HEAD is 200 without a body", async () => {
    const response = await repository.fetch("tags/list", { method: "HEAD" });
    expect(response.status).toBe(200);
    expect(await response.text()).toBe("");
  });
});

describe("Listing Tags: n", () => {
  test("gives the first n, and a Link to the next page", async () => {
    const response = await repository.fetch("tags/list?n=5");
    expect(await response.json()).toEqual({ name: repository.name, tags: tags.slice(0, 5) });
    expect(response.headers.get("link")).toMatch(/^<\/v2\/.+>; rel="next"$/);
  });

  test("the pages that Link leads through are the whole list, whatever their size", async () => {
    for (const n of [1, 2, 5, 7, 11]) {
      const { found, pages } = await follow(repository.url(`tags/list?n=${n}`));
      expect(found).toEqual(tags);
      expect(pages).toBe(Math.ceil(tags.length / n));
    }
  });

  test("gives all and no Link when n is at least their number", async () => {
    for (const n of [tags.length, tags.length + 1, 1_000_000_000_000]) {
      const response = await repository.fetch(`tags/list?n=${n}`);
      expect(response.headers.has("link")).toBe(false);
      expect(await response.json()).toEqual({ name: repository.name, tags });
    }
  });

  test("n=0 gives an empty list and no Link", async () => {
    for (const query of ["?n=0", "?n=0&last=a"]) {
      const response = await repository.fetch(`tags/list${query}`);
      expect(response.status).toBe(200);
      expect(response.headers.has("link")).toBe(false);
      expect(await response.json()).toEqual({ name: repository.name, tags: [] });
    }
  });

  test.each(["-1", "a", "1.5", "", "1e3", "0x10", "%00", "9".repeat(40)])(
    "n=%s isn't a number: 400",
    async (n) => {
      await expectError(await repository.fetch(`tags/list?n=${n}`), 400);
    },
  );
});

describe("Listing Tags: last", () => {
  test("begins after it, not with it", async () => {
    expect(await repository.tags("?last=a")).toEqual(tags.slice(tags.indexOf("a") + 1));
    expect(await repository.tags("?n=2&last=A")).toEqual(["Z", "_x"]);
  });

  test("needn't be a tag that is there", async () => {
    expect(await repository.tags("?last=a-c")).toEqual(["a.b", "aa", "b", "z"]);
    expect(await repository.tags("?last=0")).toEqual(tags);
  });

  test("at or after the last tag gives an empty list and no Link", async () => {
    for (const last of ["z", "zz"]) {
      const response = await repository.fetch(`tags/list?n=3&last=${last}`);
      expect(response.headers.has("link")).toBe(false);
      expect(await response.json()).toEqual({ name: repository.name, tags: [] });
    }
  });

  test("is a proper tag, never a number of tags", async () => {
    expect(await repository.tags("?last=2")).toEqual(tags.slice(3));
  });

  test("may be empty or hostile and does no harm", async () => {
    expect(await repository.tags("?last=")).toEqual(tags);
    for (const last of ["..%2f..%2fetc", "%00", "é", "x".repeat(5000)]) {
      const response = await repository.fetch(`tags/list?last=${last}`);
      expect([200, 400]).toContain(response.status);
      await response.arrayBuffer();
    }
  });
});
