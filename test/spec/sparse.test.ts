import { afterAll, describe, expect, test } from "bun:test";
import { OCI_IMAGE_CONFIG, OCI_IMAGE_MANIFEST, OCI_LAYER } from "../../src/oci/media-types.ts";
import { startTestRegistry, type TestRegistry } from "../support/registry.ts";
import { descriptorOf, expectError, newRepository, type TestRepository } from "./repository.ts";

const registries: TestRegistry[] = [];
afterAll(() => Promise.all(registries.map((registry) => registry.stop())));

async function repositoryWith(sparse?: "none" | "index" | "image"): Promise<TestRepository> {
  const registry = await startTestRegistry(sparse ? { sparse } : {});
  registries.push(registry);
  return newRepository(registry);
}

const sparseIndex = {
  schemaVersion: 2,
  mediaType: "application/vnd.oci.image.index.v1+json",
  manifests: [descriptorOf("missing", OCI_IMAGE_MANIFEST)],
};
const sparseImage = {
  schemaVersion: 2,
  mediaType: OCI_IMAGE_MANIFEST,
  config: descriptorOf("missing", OCI_IMAGE_CONFIG),
  layers: [descriptorOf("missing too", OCI_LAYER)],
};

describe("Push: manifests that reference what does not exist in the repository", () => {
  test("by default, an index is accepted and an image refused with MANIFEST_BLOB_UNKNOWN", async () => {
    const repository = await repositoryWith();
    expect((await repository.putManifest("index", sparseIndex)).status).toBe(201);
    const refused = await repository.putManifest("image", sparseImage);
    await expectError(refused, [400, 404], "MANIFEST_BLOB_UNKNOWN");
    expect(await repository.tags()).toEqual(["index"]);
  });

  test("--sparse index says the same", async () => {
    const repository = await repositoryWith("index");
    expect((await repository.putManifest("index", sparseIndex)).status).toBe(201);
    const refused = await repository.putManifest("image", sparseImage);
    await expectError(refused, [400, 404], "MANIFEST_BLOB_UNKNOWN");
  });

  test("--sparse none refuses both, and accepts them once they are complete", async () => {
    const repository = await repositoryWith("none");
    for (const manifest of [sparseIndex, sparseImage]) {
      const refused = await repository.putManifest("v1", manifest);
      await expectError(refused, [400, 404], "MANIFEST_BLOB_UNKNOWN");
    }
    const image = await repository.pushImage("image");
    await repository.pushIndex([image], "index");
    expect(await repository.tags()).toEqual(["image", "index"]);
  });

  test("--sparse image accepts both", async () => {
    const repository = await repositoryWith("image");
    expect((await repository.putManifest("index", sparseIndex)).status).toBe(201);
    expect((await repository.putManifest("image", sparseImage)).status).toBe(201);
    expect(await repository.tags()).toEqual(["image", "index"]);
  });

  test("a subject that does not exist is accepted by each", async () => {
    for (const sparse of ["none", "index", "image"] as const) {
      const repository = await repositoryWith(sparse);
      const subject = descriptorOf("missing", OCI_IMAGE_MANIFEST);
      expect((await repository.pushImage("v1", { subject })).size).toBeGreaterThan(0);
    }
  });

  test("the error names every digest that is missing", async () => {
    const repository = await repositoryWith("none");
    const response = await repository.putManifest("v1", sparseImage);
    const text = await response.text();
    expect(text).toContain(sparseImage.config.digest);
    expect(text).toContain(sparseImage.layers[0]?.digest as string);
  });
});
