import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { digestOf } from "../../src/oci/digest.ts";
import { OCI_IMAGE_MANIFEST } from "../../src/oci/media-types.ts";
import { startTestRegistry, type TestRegistry } from "../support/registry.ts";
import { newContent, newRepository } from "./repository.ts";

let registry: TestRegistry;
beforeAll(async () => {
  registry = await startTestRegistry();
});
afterAll(() => registry.stop());

describe("Checking if content exists in the registry", () => {
  test("a HEAD of a blob is 200 with its digest and size, and no body", async () => {
    const repository = newRepository(registry);
    const digest = await repository.pushBlob(newContent(1234));
    const response = await repository.fetch(`blobs/${digest}`, { method: "HEAD" });
    expect(response.status).toBe(200);
    expect(response.headers.get("docker-content-digest")).toBe(digest);
    expect(response.headers.get("content-length")).toBe("1234");
    expect(response.headers.has("content-range")).toBe(false);
    expect(response.headers.get("accept-ranges")).toBe("bytes");
    expect(await response.text()).toBe("");
  });

  test("a HEAD of the empty blob says that it has 0 bytes", async () => {
    const repository = newRepository(registry);
    const digest = await repository.pushBlob("");
    const response = await repository.fetch(`blobs/${digest}`, { method: "HEAD" });
    expect(response.status).toBe(200);
    expect(response.headers.get("content-length")).toBe("0");
  });

  test("a HEAD of a manifest, by tag and by digest, is 200 with its digest, size and type", async () => {
    const repository = newRepository(registry);
    const { digest, size } = await repository.pushImage("v1");
    for (const reference of ["v1", digest]) {
      const response = await repository.fetch(`manifests/${reference}`, { method: "HEAD" });
      expect(response.status).toBe(200);
      expect(response.headers.get("docker-content-digest")).toBe(digest);
      expect(response.headers.get("content-length")).toBe(String(size));
      expect(response.headers.get("content-type")).toBe(OCI_IMAGE_MANIFEST);
      expect(await response.text()).toBe("");
    }
  });

  test("a HEAD has the headers that a GET has", async () => {
    const repository = newRepository(registry);
    const blob = await repository.pushBlob(newContent());
    await repository.pushImage("v1");
    for (const path of [`blobs/${blob}`, "manifests/v1"]) {
      const [got, headed] = await Promise.all([
        repository.fetch(path),
        repository.fetch(path, { method: "HEAD" }),
      ]);
      await got.arrayBuffer();
      const fields = ["content-length", "content-type", "docker-content-digest", "etag"];
      for (const field of [...fields, "accept-ranges"]) {
        expect(`${field}: ${headed.headers.get(field)}`).toBe(
          `${field}: ${got.headers.get(field)}`,
        );
      }
    }
  });

  test("a HEAD of what isn't there is 404 without a body", async () => {
    const repository = newRepository(registry);
    await repository.pushImage("v1");
    for (const where of [repository, newRepository(registry)]) {
      for (const path of [
        `blobs/${digestOf("unknown")}`,
        `manifests/${digestOf("unknown")}`,
        "manifests/unknown",
      ]) {
        const response = await where.fetch(path, { method: "HEAD" });
        expect(response.status).toBe(404);
        expect(await response.text()).toBe("");
      }
    }
  });

  test("a HEAD of what isn't a digest is 400 without a body", async () => {
    const repository = newRepository(registry);
    await repository.pushImage("v1");
    const response = await repository.fetch("blobs/sha256:abc", { method: "HEAD" });
    expect(response.status).toBe(400);
    expect(await response.text()).toBe("");
  });
});
