import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { digestOf } from "../../src/oci/digest.ts";
import { startTestRegistry, type TestRegistry } from "../support/registry.ts";
import { expectError, locationOf, newContent, newRepository } from "./repository.ts";

let registry: TestRegistry;
beforeAll(async () => {
  registry = await startTestRegistry();
});
afterAll(() => registry.stop());

describe("Pushing a blob in chunks", () => {
  test("the POST may say that its Content-Length is 0", async () => {
    const response = await newRepository(registry).fetch("blobs/uploads/", {
      method: "POST",
      headers: { "content-length": "0" },
      body: "",
    });
    expect(response.status).toBe(202);
  });

  test("each PATCH is 202, with a Location and a Range that ends at the last byte", async () => {
    const repository = newRepository(registry);
    const upload = await repository.startUpload();
    for (const [start, end] of [
      [0, 9],
      [10, 99],
      [100, 100],
    ] as const) {
      const response = await upload.patch(newContent(end - start + 1), start);
      expect(response.status).toBe(202);
      expect(response.headers.get("range")).toBe(`0-${end}`);
      expect(response.headers.get("location")).toBeString();
    }
  });

  test("the closing PUT without a body is 201, and the blob is what the chunks make", async () => {
    const repository = newRepository(registry);
    const content = newContent(250_000);
    const digest = digestOf(content);
    const upload = await repository.startUpload();
    for (let start = 0; start < content.byteLength; start += 100_000) {
      const response = await upload.patch(content.subarray(start, start + 100_000), start);
      expect(response.status).toBe(202);
    }
    const closed = await upload.put(digest);
    expect(closed.status).toBe(201);
    expect(closed.headers.get("docker-content-digest")).toBe(digest);
    const pulled = await fetch(locationOf(closed, registry.url));
    expect(await pulled.bytes()).toEqual(content);
  });

  test("the last chunk may come with the closing PUT", async () => {
    const repository = newRepository(registry);
    const content = newContent(1000);
    const digest = digestOf(content);
    for (const start of [600, undefined]) {
      const upload = await repository.startUpload();
      await upload.patch(content.subarray(0, 600), 0);
      expect((await upload.put(digest, content.subarray(600), start)).status).toBe(201);
    }
    expect(await repository.hasBlob(digest)).toBe(true);
  });

  test("the only chunk may come with the closing PUT, and say its range", async () => {
    const repository = newRepository(registry);
    const content = newContent();
    const upload = await repository.startUpload();
    expect((await upload.put(digestOf(content), content, 0)).status).toBe(201);
  });

  test("chunks of a single byte are taken", async () => {
    const repository = newRepository(registry);
    const content = newContent(5);
    const upload = await repository.startUpload();
    for (let start = 0; start < 5; start++) {
      const response = await upload.patch(content.subarray(start, start + 1), start);
      expect(response.headers.get("range")).toBe(`0-${start}`);
    }
    expect((await upload.put(digestOf(content))).status).toBe(201);
  });

  test("a session that received nothing is closed as the empty blob", async () => {
    const repository = newRepository(registry);
    const upload = await repository.startUpload();
    expect((await upload.put(digestOf(""))).status).toBe(201);
    expect(await repository.hasBlob(digestOf(""))).toBe(true);
  });

  test("a PATCH without a Content-Range is a stream, which is added at the end", async () => {
    const repository = newRepository(registry);
    const content = newContent(400_000);
    const upload = await repository.startUpload();
    const response = await upload.patch(new Blob([content.subarray(0, 300_000)]).stream());
    expect(response.status).toBe(202);
    expect(response.headers.get("range")).toBe("0-299999");
    expect((await upload.patch(content.subarray(300_000))).headers.get("range")).toBe("0-399999");
    expect((await upload.put(digestOf(content))).status).toBe(201);
  });

  test("an empty PATCH changes nothing", async () => {
    const repository = newRepository(registry);
    const content = newContent();
    const upload = await repository.startUpload();
    await upload.patch(content, 0);
    const response = await upload.patch("");
    expect(response.status).toBe(202);
    expect(response.headers.get("range")).toBe("0-99");
    expect((await upload.put(digestOf(content))).status).toBe(201);
  });

  test("chunks that go to the first Location, not to the newest, are taken too", async () => {
    const repository = newRepository(registry);
    const content = newContent(20);
    const upload = await repository.startUpload();
    const first = upload.location;
    await upload.patch(content.subarray(0, 10), 0);
    upload.location = first;
    expect((await upload.patch(content.subarray(10), 10)).status).toBe(202);
    upload.location = first;
    expect((await upload.put(digestOf(content))).status).toBe(201);
  });

  test("two sessions of one repository don't mix", async () => {
    const repository = newRepository(registry);
    const contents = [newContent(1000), newContent(1000)] as const;
    const uploads = [await repository.startUpload(), await repository.startUpload()] as const;
    for (let start = 0; start < 1000; start += 250) {
      await Promise.all(
        uploads.map((upload, i) =>
          upload.patch((contents[i] as Uint8Array).subarray(start, start + 250), start),
        ),
      );
    }
    for (const [i, upload] of uploads.entries()) {
      expect((await upload.put(digestOf(contents[i] as Uint8Array))).status).toBe(201);
    }
  });

  test("a digest that doesn't match the chunks is 400 with DIGEST_INVALID, and nothing is stored", async () => {
    const repository = newRepository(registry);
    const content = newContent();
    const upload = await repository.startUpload();
    await upload.patch(content, 0);
    await expectError(await upload.put(digestOf("other")), 400, "DIGEST_INVALID");
    expect(await repository.hasBlob(digestOf(content))).toBe(false);
    expect(await repository.hasBlob(digestOf("other"))).toBe(false);
  });
});

describe("Pushing a blob in chunks: sha512", () => {
  test("with digest-algorithm=sha512 in the POST", async () => {
    const repository = newRepository(registry);
    const content = newContent();
    const digest = digestOf(content, "sha512");
    const upload = await repository.startUpload("?digest-algorithm=sha512");
    await upload.patch(content.subarray(0, 50), 0);
    await upload.patch(content.subarray(50), 50);
    const closed = await upload.put(digest);
    expect(closed.status).toBe(201);
    expect(closed.headers.get("docker-content-digest")).toBe(digest);
    expect(await repository.hasBlob(digest)).toBe(true);
  });

  test("without the hint", async () => {
    const repository = newRepository(registry);
    const content = newContent();
    const digest = digestOf(content, "sha512");
    const upload = await repository.startUpload();
    await upload.patch(content.subarray(0, 50), 0);
    expect((await upload.put(digest, content.subarray(50), 50)).status).toBe(201);
    const response = await repository.fetch(`blobs/${digest}`);
    expect(await response.bytes()).toEqual(content);
  });

  test("a hint of sha512 doesn't keep a client from closing with sha256", async () => {
    const repository = newRepository(registry);
    const content = newContent();
    const upload = await repository.startUpload("?digest-algorithm=sha512");
    await upload.patch(content, 0);
    expect((await upload.put(digestOf(content))).status).toBe(201);
    expect(await repository.hasBlob(digestOf(content))).toBe(true);
  });

  test("a hint of sha256 says what is so anyway", async () => {
    const repository = newRepository(registry);
    const content = newContent();
    const upload = await repository.startUpload("?digest-algorithm=sha256");
    expect((await upload.put(digestOf(content), content)).status).toBe(201);
  });

  test("content that doesn't match is 400 with DIGEST_INVALID", async () => {
    const repository = newRepository(registry);
    const upload = await repository.startUpload("?digest-algorithm=sha512");
    await upload.patch(newContent(), 0);
    await expectError(await upload.put(digestOf("other", "sha512")), 400, "DIGEST_INVALID");
  });

  test.each(["md5", "SHA256", "..", "sha256%2f..", "", "constructor"])(
    "the unsupported algorithm %j is 400",
    async (algorithm) => {
      const response = await newRepository(registry).fetch(
        `blobs/uploads/?digest-algorithm=${algorithm}`,
        { method: "POST" },
      );
      await expectError(response, 400, "DIGEST_INVALID", "UNSUPPORTED");
    },
  );
});

describe("Pushing a blob in chunks: out of order", () => {
  test("a first chunk that doesn't begin at 0 is 416", async () => {
    const upload = await newRepository(registry).startUpload();
    await expectError(await upload.patch(newContent(), 100), 416, "BLOB_UPLOAD_INVALID");
  });

  test("a chunk that leaves a gap, repeats or overlaps is 416 with where the session is", async () => {
    const repository = newRepository(registry);
    const upload = await repository.startUpload();
    await upload.patch(newContent(50), 0);
    for (const start of [51, 100, 0, 25, 49]) {
      const response = await upload.patch(newContent(50), start);
      expect(response.headers.get("range")).toBe("0-49");
      expect(response.headers.get("location")).toBeString();
      await expectError(response, 416, "BLOB_UPLOAD_INVALID");
    }
  });

  test("a closing PUT out of order is 416, and the session goes on", async () => {
    const repository = newRepository(registry);
    const content = newContent(100);
    const upload = await repository.startUpload();
    await upload.patch(content.subarray(0, 50), 0);
    for (const start of [0, 60]) {
      const response = await upload.put(digestOf(content), content.subarray(50), start);
      expect(response.headers.get("range")).toBe("0-49");
      expect(response.headers.get("location")).toBeString();
      await expectError(response, 416, "BLOB_UPLOAD_INVALID");
    }
    expect((await upload.put(digestOf(content), content.subarray(50), 50)).status).toBe(201);
  });

  test("after a 416 the client asks for the status and goes on from there", async () => {
    const repository = newRepository(registry);
    const content = newContent(100);
    const upload = await repository.startUpload();
    await upload.patch(content.subarray(0, 30), 0);
    expect((await upload.patch(content.subarray(60), 60)).status).toBe(416);
    const status = await upload.status();
    expect(status.status).toBe(204);
    const next = Number(status.headers.get("range")?.split("-")[1]) + 1;
    expect(next).toBe(30);
    expect((await upload.patch(content.subarray(next), next)).status).toBe(202);
    expect((await upload.put(digestOf(content))).status).toBe(201);
  });

  test.each([
    "bytes=0-99",
    "bytes 0-99/100",
    "0-",
    "-99",
    "99-0",
    "a-b",
    "0-99/100",
    "0:99",
    "0-99,100-199",
  ])("the Content-Range %j has another form and is refused", async (range) => {
    const upload = await newRepository(registry).startUpload();
    const response = await fetch(upload.location, {
      method: "PATCH",
      body: newContent(100),
      headers: { "content-range": range },
    });
    await expectError(response, [400, 416], "BLOB_UPLOAD_INVALID");
    expect((await upload.status()).headers.get("range")).toBe("0-0");
  });

  test("a Content-Range of another length than the body is refused, and nothing of it stays", async () => {
    const repository = newRepository(registry);
    const content = newContent(100);
    for (const range of ["0-50", "0-149"]) {
      const upload = await repository.startUpload();
      for (const body of [content, new Blob([content]).stream()]) {
        const response = await fetch(upload.location, {
          method: "PATCH",
          body,
          headers: { "content-range": range },
        });
        await expectError(response, [400, 416], "SIZE_INVALID", "BLOB_UPLOAD_INVALID");
      }
      expect((await upload.patch(content, 0)).status).toBe(202);
      expect((await upload.put(digestOf(content))).status).toBe(201);
    }
  });
});

describe("Pushing a blob in chunks: the status of a session", () => {
  test("a GET of its Location is 204, with the Location and the Range", async () => {
    const repository = newRepository(registry);
    const upload = await repository.startUpload();
    await upload.patch(newContent(77), 0);
    for (let i = 0; i < 2; i++) {
      const response = await upload.status();
      expect(response.status).toBe(204);
      expect(response.headers.get("range")).toBe("0-76");
      expect(response.headers.get("location")).toBeString();
      expect(await response.text()).toBe("");
    }
  });

  test("an empty session says 0-0", async () => {
    const response = await (await newRepository(registry).startUpload()).status();
    expect(response.status).toBe(204);
    expect(response.headers.get("range")).toBe("0-0");
  });

  test("an unknown session is 404 with BLOB_UPLOAD_UNKNOWN", async () => {
    const repository = newRepository(registry);
    await repository.startUpload();
    for (const id of [crypto.randomUUID(), "nonsense"]) {
      await expectError(await repository.fetch(`blobs/uploads/${id}`), 404, "BLOB_UPLOAD_UNKNOWN");
      const patched = await repository.fetch(`blobs/uploads/${id}`, { method: "PATCH", body: "x" });
      await expectError(patched, 404, "BLOB_UPLOAD_UNKNOWN");
    }
  });

  test("a session outlives the server that it was begun on", async () => {
    const content = newContent(1000);
    const first = await startTestRegistry();
    const repository = newRepository(first);
    const upload = await repository.startUpload();
    await upload.patch(content.subarray(0, 400), 0);
    await first.stop();
    const second = await startTestRegistry({ root: first.root });
    try {
      upload.location = upload.location.replace(first.url, second.url);
      const status = await fetch(upload.location);
      expect(status.status).toBe(204);
      expect(status.headers.get("range")).toBe("0-399");
      const response = await upload.put(digestOf(content), content.subarray(400), 400);
      expect(response.status).toBe(201);
    } finally {
      await second.stop();
    }
  });
});

describe("Cancel a blob upload", () => {
  test("a DELETE of the session's Location is 204, and the session is over", async () => {
    const repository = newRepository(registry);
    const content = newContent();
    const upload = await repository.startUpload();
    await upload.patch(content, 0);
    const response = await upload.cancel();
    expect(response.status).toBe(204);
    expect(await response.text()).toBe("");
    await expectError(await upload.status(), 404, "BLOB_UPLOAD_UNKNOWN");
    await expectError(await upload.patch(content, 100), 404, "BLOB_UPLOAD_UNKNOWN");
    await expectError(await upload.put(digestOf(content)), 404, "BLOB_UPLOAD_UNKNOWN");
    expect(await repository.hasBlob(digestOf(content))).toBe(false);
  });

  test("a session that received nothing is cancelled", async () => {
    const upload = await newRepository(registry).startUpload();
    expect((await upload.cancel()).status).toBe(204);
  });

  test("a session that is unknown, cancelled or closed is 404 with BLOB_UPLOAD_UNKNOWN", async () => {
    const repository = newRepository(registry);
    const upload = await repository.startUpload();
    expect((await upload.cancel()).status).toBe(204);
    await expectError(await upload.cancel(), 404, "BLOB_UPLOAD_UNKNOWN");
    const response = await repository.fetch(`blobs/uploads/${crypto.randomUUID()}`, {
      method: "DELETE",
    });
    await expectError(response, 404, "BLOB_UPLOAD_UNKNOWN");
  });
});
