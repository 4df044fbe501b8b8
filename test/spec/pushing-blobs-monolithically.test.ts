import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { digestOf } from "../../src/oci/digest.ts";
import { startTestRegistry, type TestRegistry } from "../support/registry.ts";
import { expectError, locationOf, newContent, newRepository } from "./repository.ts";

let registry: TestRegistry;
beforeAll(async () => {
  registry = await startTestRegistry();
});
afterAll(() => registry.stop());

const uuid = /[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/;

describe("Pushing a blob monolithically: POST then PUT", () => {
  test("the POST is 202, with a Location that contains a UUID", async () => {
    const repository = newRepository(registry);
    const response = await repository.fetch("blobs/uploads/", { method: "POST" });
    expect(response.status).toBe(202);
    expect(response.headers.get("location")).toMatch(uuid);
    expect(response.headers.get("range")).toBe("0-0");
    expect(await response.text()).toBe("");
  });

  test("the Location is relative, so that a proxy in front does no harm", async () => {
    const response = await newRepository(registry).fetch("blobs/uploads/", { method: "POST" });
    expect(response.headers.get("location")).toStartWith("/v2/");
  });

  test("every session has a UUID of its own", async () => {
    const repository = newRepository(registry);
    const uploads = await Promise.all(Array.from({ length: 20 }, () => repository.startUpload()));
    expect(new Set(uploads.map((upload) => uuid.exec(upload.location)?.[0])).size).toBe(20);
  });

  test("the PUT is 201, with the digest and a Location at which the blob is pulled", async () => {
    const repository = newRepository(registry);
    const content = newContent(10_000);
    const digest = digestOf(content);
    const response = await (await repository.startUpload()).put(digest, content);
    expect(response.status).toBe(201);
    expect(response.headers.get("docker-content-digest")).toBe(digest);
    const pulled = await fetch(locationOf(response, registry.url));
    expect(pulled.status).toBe(200);
    expect(await pulled.bytes()).toEqual(content);
  });

  test("the empty blob is pushed like any other", async () => {
    const repository = newRepository(registry);
    const digest = await repository.pushBlob("");
    expect(await repository.hasBlob(digest)).toBe(true);
  });

  test("a blob is pushed by its sha512 digest without a hint in the POST", async () => {
    const repository = newRepository(registry);
    const content = newContent();
    const digest = digestOf(content, "sha512");
    const response = await (await repository.startUpload()).put(digest, content);
    expect(response.status).toBe(201);
    expect(response.headers.get("docker-content-digest")).toBe(digest);
    expect(await repository.hasBlob(digest)).toBe(true);
  });

  test("a blob that is there already may be pushed again", async () => {
    const repository = newRepository(registry);
    const content = newContent();
    expect(await repository.pushBlob(content)).toBe(await repository.pushBlob(content));
  });

  test("one blob pushed twenty times at once is there, whole", async () => {
    const repository = newRepository(registry);
    const content = newContent(300_000);
    const digests = await Promise.all(
      Array.from({ length: 20 }, () => repository.pushBlob(content)),
    );
    const response = await repository.fetch(`blobs/${digests[0]}`);
    expect(await response.bytes()).toEqual(content);
  });

  test("a body without a Content-Length is taken as it comes", async () => {
    const repository = newRepository(registry);
    const content = newContent(500_000);
    const digest = digestOf(content);
    const upload = await repository.startUpload();
    const response = await fetch(upload.closing(digest), {
      method: "PUT",
      body: new Blob([content]).stream(),
    });
    expect(response.status).toBe(201);
    expect(await repository.hasBlob(digest)).toBe(true);
  });

  test("the Content-Type of the body doesn't matter", async () => {
    const repository = newRepository(registry);
    const body = '{"a":1}';
    for (const type of ["application/json", "multipart/form-data; boundary=x", "text/plain", "x"]) {
      const upload = await repository.startUpload();
      const response = await fetch(upload.closing(digestOf(body)), {
        method: "PUT",
        body,
        headers: { "content-type": type },
      });
      expect(response.status).toBe(201);
    }
  });

  test("content that doesn't match the digest is 400 with DIGEST_INVALID, and isn't stored", async () => {
    const repository = newRepository(registry);
    const [content, promised] = [newContent(), digestOf(newContent())];
    const upload = await repository.startUpload();
    await expectError(await upload.put(promised, content), 400, "DIGEST_INVALID");
    expect(await repository.hasBlob(promised)).toBe(false);
    expect(await repository.hasBlob(digestOf(content))).toBe(false);
    // Neither under another name: content is only there where it was pushed.
    expect(await newRepository(registry).hasBlob(digestOf(content))).toBe(false);
  });

  test.each([
    ["isn't one", "nonsense"],
    ["is empty", ""],
    ["is too short", "sha256:abc"],
    ["is in capitals", `sha256:${"A".repeat(64)}`],
    ["uses an unsupported algorithm", `md5:${"0".repeat(32)}`],
    ["climbs", "sha256:../../../../etc/passwd"],
  ])("a digest that %s is 400 with DIGEST_INVALID", async (_, digest) => {
    const repository = newRepository(registry);
    const upload = await repository.startUpload();
    await expectError(
      await upload.put(encodeURIComponent(digest), newContent()),
      400,
      "DIGEST_INVALID",
    );
  });

  test("a PUT without a digest is 400, and the session goes on", async () => {
    const repository = newRepository(registry);
    const content = newContent();
    const upload = await repository.startUpload();
    const response = await fetch(upload.location, { method: "PUT", body: content });
    await expectError(response, 400, "DIGEST_INVALID", "BLOB_UPLOAD_INVALID");
    expect((await upload.put(digestOf(content), content)).status).toBe(201);
  });

  test("a PUT to a session that nobody began is 404 with BLOB_UPLOAD_UNKNOWN", async () => {
    const repository = newRepository(registry);
    const upload = await repository.startUpload();
    const content = newContent();
    for (const id of [crypto.randomUUID(), "nonsense", "..", "%2e%2e", "..%2f..%2fblobs", "0"]) {
      const location = upload.location.replace(uuid, id);
      const response = await fetch(`${location}?digest=${digestOf(content)}`, {
        method: "PUT",
        body: content,
      });
      await expectError(response, [400, 404, 405]);
    }
    expect(await repository.hasBlob(digestOf(content))).toBe(false);
  });

  test("a session is of its repository: from another one it is 404", async () => {
    const repository = newRepository(registry);
    const other = newRepository(registry);
    const upload = await repository.startUpload();
    const content = newContent();
    const location = upload.location.replace(repository.name, other.name);
    const response = await fetch(`${location}?digest=${digestOf(content)}`, {
      method: "PUT",
      body: content,
    });
    await expectError(response, 404, "BLOB_UPLOAD_UNKNOWN");
    expect((await upload.put(digestOf(content), content)).status).toBe(201);
  });

  test("a session that was closed is over", async () => {
    const repository = newRepository(registry);
    const content = newContent();
    const upload = await repository.startUpload();
    expect((await upload.put(digestOf(content), content)).status).toBe(201);
    await expectError(await upload.put(digestOf(content), content), 404, "BLOB_UPLOAD_UNKNOWN");
    await expectError(await upload.status(), 404, "BLOB_UPLOAD_UNKNOWN");
  });
});

describe("Pushing a blob monolithically: Single POST", () => {
  const post = (
    repository: ReturnType<typeof newRepository>,
    digest: string,
    body: Uint8Array | string | ReadableStream<Uint8Array>,
  ) => repository.fetch(`blobs/uploads/?digest=${digest}`, { method: "POST", body });

  test("is 201, with the digest and a Location at which the blob is pulled", async () => {
    const repository = newRepository(registry);
    const content = newContent(10_000);
    const digest = digestOf(content);
    const response = await post(repository, digest, content);
    expect(response.status).toBe(201);
    expect(response.headers.get("docker-content-digest")).toBe(digest);
    const pulled = await fetch(locationOf(response, registry.url));
    expect(await pulled.bytes()).toEqual(content);
  });

  test("takes a sha512 digest", async () => {
    const repository = newRepository(registry);
    const content = newContent();
    const digest = digestOf(content, "sha512");
    const response = await post(repository, digest, content);
    expect(response.status).toBe(201);
    expect(response.headers.get("docker-content-digest")).toBe(digest);
    expect(await repository.hasBlob(digest)).toBe(true);
  });

  test("takes the empty blob", async () => {
    const repository = newRepository(registry);
    expect((await post(repository, digestOf(""), "")).status).toBe(201);
    expect(await repository.hasBlob(digestOf(""))).toBe(true);
  });

  test("takes a body without a Content-Length", async () => {
    const repository = newRepository(registry);
    const content = newContent(300_000);
    const response = await post(repository, digestOf(content), new Blob([content]).stream());
    expect(response.status).toBe(201);
  });

  test("is 400 with DIGEST_INVALID when the content doesn't match, and stores nothing", async () => {
    const repository = newRepository(registry);
    const content = newContent();
    const promised = digestOf("other");
    await expectError(await post(repository, promised, content), 400, "DIGEST_INVALID");
    expect(await repository.hasBlob(promised)).toBe(false);
    expect(await repository.hasBlob(digestOf(content))).toBe(false);
  });

  test.each(["nonsense", "sha256:abc", `md5:${"0".repeat(32)}`, ""])(
    "is 400 with DIGEST_INVALID for the digest %j",
    async (digest) => {
      const repository = newRepository(registry);
      await expectError(await post(repository, digest, newContent()), 400, "DIGEST_INVALID");
    },
  );

  test("is pushed without the slash at the end of the path, too", async () => {
    const repository = newRepository(registry);
    const content = newContent();
    const response = await repository.fetch(`blobs/uploads?digest=${digestOf(content)}`, {
      method: "POST",
      body: content,
    });
    expect([201, 202, 404]).toContain(response.status);
  });
});
