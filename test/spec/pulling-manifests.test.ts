import { afterAll, beforeAll, expect, test } from "bun:test";
import { digestOf } from "../../src/oci/digest.ts";
import {
  DOCKER_IMAGE_CONFIG,
  DOCKER_LAYER,
  DOCKER_MANIFEST,
  DOCKER_MANIFEST_LIST,
  OCI_IMAGE_INDEX,
  OCI_IMAGE_MANIFEST,
} from "../../src/oci/media-types.ts";
import { startTestRegistry, type TestRegistry } from "../support/registry.ts";
import { descriptorOf, expectError, newContent, newRepository } from "./repository.ts";

let registry: TestRegistry;
beforeAll(async () => {
  registry = await startTestRegistry();
});
afterAll(() => registry.stop());

test("Pulling manifests: a GET by tag gives the bytes that were pushed, their type and digest", async () => {
  const repository = newRepository(registry);
  const body = `${JSON.stringify(await repository.newImage(), null, 3)}\n \n`;
  expect((await repository.putManifest("v1", body)).status).toBe(201);
  const response = await repository.fetch("manifests/v1");
  expect(response.status).toBe(200);
  expect(response.headers.get("content-type")).toBe(OCI_IMAGE_MANIFEST);
  expect(response.headers.get("docker-content-digest")).toBe(digestOf(body));
  expect(response.headers.get("content-length")).toBe(String(Buffer.byteLength(body)));
  expect(await response.text()).toBe(body);
});

test("Pulling manifests: a GET by digest gives the same", async () => {
  const repository = newRepository(registry);
  const image = await repository.newImage({ annotations: { é: "☃" } });
  const { digest } = await repository.pushManifest(image, "v1");
  const response = await repository.fetch(`manifests/${digest}`);
  expect(response.status).toBe(200);
  expect(response.headers.get("content-type")).toBe(OCI_IMAGE_MANIFEST);
  expect(response.headers.get("docker-content-digest")).toBe(digest);
  expect(await response.text()).toBe(JSON.stringify(image));
});

test("Pulling manifests: a GET by a sha512 digest gives the manifest that was pushed by it", async () => {
  const repository = newRepository(registry);
  const body = JSON.stringify(await repository.newImage());
  const digest = digestOf(body, "sha512");
  const pushed = await repository.putManifest(digest, body);
  expect(pushed.status).toBe(201);
  expect(pushed.headers.get("docker-content-digest")).toBe(digest);
  const response = await repository.fetch(`manifests/${digest}`);
  expect(response.status).toBe(200);
  expect(response.headers.get("docker-content-digest")).toBe(digest);
  expect(await response.text()).toBe(body);
});

test("Pulling manifests: the Content-Type is what was pushed, for OCI and Docker, images and indexes", async () => {
  const repository = newRepository(registry);
  const config = "{}";
  const layer = newContent();
  await repository.pushBlob(config);
  await repository.pushBlob(layer);
  const docker = await repository.pushManifest(
    {
      schemaVersion: 2,
      mediaType: DOCKER_MANIFEST,
      config: descriptorOf(config, DOCKER_IMAGE_CONFIG),
      layers: [descriptorOf(layer, DOCKER_LAYER)],
    },
    "docker",
  );
  await repository.pushManifest(
    { schemaVersion: 2, mediaType: DOCKER_MANIFEST_LIST, manifests: [docker] },
    "list",
  );
  await repository.pushIndex([docker], "index");
  for (const [tag, type] of [
    ["docker", DOCKER_MANIFEST],
    ["list", DOCKER_MANIFEST_LIST],
    ["index", OCI_IMAGE_INDEX],
  ]) {
    const response = await repository.fetch(`manifests/${tag}`);
    expect(response.headers.get("content-type")).toBe(type as string);
    await response.arrayBuffer();
  }
});

test("Pulling manifests: the Content-Type is what was pushed when the manifest has no mediaType", async () => {
  const repository = newRepository(registry);
  const { mediaType: _, ...image } = await repository.newImage();
  for (const [tag, type] of [
    ["oci", OCI_IMAGE_MANIFEST],
    ["docker", DOCKER_MANIFEST],
  ] as const) {
    // Another body each, because the type belongs to the digest.
    const manifest = { ...image, annotations: { tag } };
    expect((await repository.putManifest(tag, manifest, { "content-type": type })).status).toBe(
      201,
    );
    const response = await repository.fetch(`manifests/${tag}`);
    expect(response.headers.get("content-type")).toBe(type);
    await response.arrayBuffer();
  }
});

test("Pulling manifests: the Content-Type has no parameters, even if it was pushed with some", async () => {
  const repository = newRepository(registry);
  const headers = { "content-type": `${OCI_IMAGE_MANIFEST}; charset=utf-8` };
  const pushed = await repository.putManifest("v1", await repository.newImage(), headers);
  expect(pushed.status).toBe(201);
  const response = await repository.fetch("manifests/v1");
  expect(response.headers.get("content-type")).toBe(OCI_IMAGE_MANIFEST);
  await response.arrayBuffer();
});

test("Pulling manifests: the Accept header doesn't change what is given", async () => {
  const repository = newRepository(registry);
  const { digest } = await repository.pushImage("v1");
  for (const accept of ["*/*", OCI_IMAGE_MANIFEST, DOCKER_MANIFEST_LIST, "text/html", ""]) {
    const response = await repository.fetch("manifests/v1", { headers: { accept } });
    expect(response.status).toBe(200);
    expect(response.headers.get("docker-content-digest")).toBe(digest);
    await response.arrayBuffer();
  }
});

test("Pulling manifests: an unknown tag, an unknown digest and an unknown repository are 404", async () => {
  const repository = newRepository(registry);
  const nowhere = newRepository(registry);
  await repository.pushImage("v1");
  for (const where of [repository, nowhere]) {
    for (const reference of ["v2", digestOf("unknown"), digestOf("unknown", "sha512")]) {
      const response = await where.fetch(`manifests/${reference}`);
      await expectError(response, 404, "MANIFEST_UNKNOWN", "NAME_UNKNOWN");
    }
  }
});

test("Pulling manifests: a manifest of another repository is 404", async () => {
  const repository = newRepository(registry);
  const { digest } = await repository.pushImage("v1");
  await expectError(
    await newRepository(registry).fetch(`manifests/${digest}`),
    404,
    "MANIFEST_UNKNOWN",
    "NAME_UNKNOWN",
  );
});

test("Pulling manifests: a blob isn't a manifest", async () => {
  const repository = newRepository(registry);
  const image = await repository.newImage();
  await repository.pushManifest(image, "v1");
  const blob = await repository.pushBlob(JSON.stringify({ ...image, annotations: {} }));
  await expectError(await repository.fetch(`manifests/${blob}`), 404, "MANIFEST_UNKNOWN");
});

test.each([
  "sha256:abc",
  `sha256:${"A".repeat(64)}`,
  `md5:${"0".repeat(32)}`,
  "-tag",
  ".tag",
  "t".repeat(129),
  "a%20b",
  "a%0ab",
  "a%2fb",
  "%00",
  "..%2f..%2fv1",
])("Pulling manifests: %s is neither a tag nor a digest, and is 400 or 404", async (reference) => {
  const repository = newRepository(registry);
  await repository.pushImage("v1");
  await expectError(await repository.fetch(`manifests/${reference}`), [400, 404]);
});

test("Pulling manifests: a tag of 128 characters and one with every legal character are pulled", async () => {
  const repository = newRepository(registry);
  const image = await repository.newImage();
  for (const tag of ["t".repeat(128), "_A-z.0_9--..__", "_", "0"]) {
    await repository.pushManifest(image, tag);
    expect(await repository.hasManifest(tag)).toBe(true);
  }
});

test("RFC 9110, 13.1.2: a GET with the manifest's ETag in If-None-Match is 304 without a body", async () => {
  const repository = newRepository(registry);
  await repository.pushImage("v1");
  const first = await repository.fetch("manifests/v1");
  await first.arrayBuffer();
  const etag = first.headers.get("etag") ?? "";
  expect(etag).toMatch(/^"[^"]+"$/);
  for (const value of [etag, `W/${etag}`, `"other", ${etag}`, "*"]) {
    const response = await repository.fetch("manifests/v1", {
      headers: { "if-none-match": value },
    });
    expect(response.status).toBe(304);
    expect(response.headers.get("etag")).toBe(etag);
    expect(await response.text()).toBe("");
  }
  await repository.pushImage("v1");
  const moved = await repository.fetch("manifests/v1", { headers: { "if-none-match": etag } });
  expect(moved.status).toBe(200);
  expect(moved.headers.get("etag")).not.toBe(etag);
  await moved.arrayBuffer();
});

test("Registry Proxying: the ns parameter may be ignored", async () => {
  const repository = newRepository(registry);
  await repository.pushImage("v1");
  const response = await repository.fetch("manifests/v1?ns=registry.example.org");
  expect(response.status).toBe(200);
  await response.arrayBuffer();
});
