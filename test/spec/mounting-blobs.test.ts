import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { digestOf } from "../../src/oci/digest.ts";
import { startTestRegistry, type TestRegistry } from "../support/registry.ts";
import { locationOf, newContent, newRepository, Upload } from "./repository.ts";

let registry: TestRegistry;
beforeAll(async () => {
  registry = await startTestRegistry();
});
afterAll(() => registry.stop());

const mount = (repository: ReturnType<typeof newRepository>, digest: string, from?: string) =>
  repository.fetch(
    `blobs/uploads/?mount=${digest}${from === undefined ? "" : `&from=${encodeURIComponent(from)}`}`,
    { method: "POST" },
  );

describe("Mounting a blob from another repository", () => {
  test("is 201, with a Location at which the blob is pulled", async () => {
    const [source, target] = [newRepository(registry), newRepository(registry)];
    const content = newContent();
    const digest = await source.pushBlob(content);
    expect(await target.hasBlob(digest)).toBe(false);
    const response = await mount(target, digest, source.name);
    expect(response.status).toBe(201);
    expect(response.headers.get("docker-content-digest")).toBe(digest);
    const location = locationOf(response, registry.url);
    expect(location).toContain(target.name);
    expect(await (await fetch(location)).bytes()).toEqual(content);
  });

  test("works for a blob that was pushed by its sha512 digest", async () => {
    const [source, target] = [newRepository(registry), newRepository(registry)];
    const digest = await source.pushBlob(newContent(), "sha512");
    const response = await mount(target, digest, source.name);
    expect(response.status).toBe(201);
    expect(response.headers.get("docker-content-digest")).toBe(digest);
    expect(await target.hasBlob(digest)).toBe(true);
  });

  test("without from, finds the blob wherever it is", async () => {
    const digest = await newRepository(registry).pushBlob(newContent());
    const target = newRepository(registry);
    const response = await mount(target, digest);
    expect(response.status).toBe(201);
    expect(await target.hasBlob(digest)).toBe(true);
  });

  test("from the repository itself is 201 when the blob is there", async () => {
    const repository = newRepository(registry);
    const digest = await repository.pushBlob(newContent());
    expect((await mount(repository, digest, repository.name)).status).toBe(201);
  });

  test("survives that the blob is deleted where it came from", async () => {
    const [source, target] = [newRepository(registry), newRepository(registry)];
    const digest = await source.pushBlob(newContent());
    expect((await mount(target, digest, source.name)).status).toBe(201);
    expect((await source.fetch(`blobs/${digest}`, { method: "DELETE" })).status).toBe(202);
    expect(await source.hasBlob(digest)).toBe(false);
    expect(await target.hasBlob(digest)).toBe(true);
  });
});

describe("Mounting a blob that can't be mounted begins an upload session (202)", () => {
  const unmountable: [string, () => Promise<Response>][] = [
    [
      "because it is nowhere",
      () => mount(newRepository(registry), digestOf("nowhere"), newRepository(registry).name),
    ],
    [
      "because it is nowhere, and from isn't given",
      () => mount(newRepository(registry), digestOf("nowhere")),
    ],
    [
      "because it isn't in the repository that is named",
      async () => {
        const digest = await newRepository(registry).pushBlob(newContent());
        const empty = newRepository(registry);
        await empty.pushBlob("something else");
        return mount(newRepository(registry), digest, empty.name);
      },
    ],
    [
      "because it was deleted from the repository that is named",
      async () => {
        const source = newRepository(registry);
        const digest = await source.pushBlob(newContent());
        await source.fetch(`blobs/${digest}`, { method: "DELETE" });
        return mount(newRepository(registry), digest, source.name);
      },
    ],
    [
      "because the name after from isn't one",
      () => mount(newRepository(registry), digestOf("nowhere"), "../../etc"),
    ],
  ];
  test.each(unmountable)("%s", async (_, request) => {
    const response = await request();
    expect(response.status).toBe(202);
    expect(response.headers.get("location")).toContain("/blobs/uploads/");
    expect(response.headers.get("range")).toBe("0-0");
  });

  test("and the session takes the blob", async () => {
    const target = newRepository(registry);
    const content = newContent();
    const digest = digestOf(content);
    const response = await mount(target, digest, newRepository(registry).name);
    const upload = new Upload(target, locationOf(response, registry.url));
    expect((await upload.put(digest, content)).status).toBe(201);
    expect(await target.hasBlob(digest)).toBe(true);
  });

  test.each(["nonsense", "sha256:abc", "", "sha256:..%2f..", `md5:${"0".repeat(32)}`])(
    "or 400, because %j isn't a digest",
    async (digest) => {
      const response = await mount(newRepository(registry), digest, "spec/any");
      expect([202, 400]).toContain(response.status);
    },
  );
});
