import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { digestOf } from "../../src/oci/digest.ts";
import { startTestRegistry, type TestRegistry } from "../support/registry.ts";
import { expectError, newContent, newRepository, type TestRepository } from "./repository.ts";

let registry: TestRegistry;
beforeAll(async () => {
  registry = await startTestRegistry();
});
afterAll(() => registry.stop());

test("Pulling blobs: a GET gives the blob, its digest and its size", async () => {
  const repository = newRepository(registry);
  const content = newContent(100_000);
  const digest = await repository.pushBlob(content);
  const response = await repository.fetch(`blobs/${digest}`);
  expect(response.status).toBe(200);
  expect(response.headers.get("docker-content-digest")).toBe(digest);
  expect(response.headers.get("content-length")).toBe("100000");
  expect(response.headers.get("content-type")).toBe("application/octet-stream");
  expect(await response.bytes()).toEqual(content);
});

test("Pulling blobs: a GET of a larger blob gives every byte", async () => {
  const repository = newRepository(registry);
  const content = new Uint8Array(20_000_003).map((_, i) => (i * 31) >> 3);
  const digest = await repository.pushBlob(content);
  const response = await repository.fetch(`blobs/${digest}`);
  expect(digestOf(await response.bytes())).toBe(digest);
});

test("Pulling blobs: a GET of the empty blob gives no bytes", async () => {
  const repository = newRepository(registry);
  const digest = await repository.pushBlob("");
  const response = await repository.fetch(`blobs/${digest}`);
  expect(response.status).toBe(200);
  expect(response.headers.get("content-length")).toBe("0");
  expect(response.headers.get("docker-content-digest")).toBe(digest);
  expect(await response.text()).toBe("");
});

test("Pulling blobs: the digest in a response is of the algorithm that was asked for", async () => {
  const repository = newRepository(registry);
  const content = newContent();
  const digest = await repository.pushBlob(content, "sha512");
  const response = await repository.fetch(`blobs/${digest}`);
  expect(response.status).toBe(200);
  expect(response.headers.get("docker-content-digest")).toBe(digest);
  expect(await response.bytes()).toEqual(content);
});

test("Pulling blobs: a GET of an unknown digest is 404 with BLOB_UNKNOWN", async () => {
  const repository = newRepository(registry);
  await repository.pushBlob("known");
  for (const digest of [digestOf("unknown"), digestOf("unknown", "sha512")]) {
    await expectError(await repository.fetch(`blobs/${digest}`), 404, "BLOB_UNKNOWN");
  }
});

test("Pulling blobs: a GET in an unknown repository is 404", async () => {
  const response = await newRepository(registry).fetch(`blobs/${digestOf("unknown")}`);
  await expectError(response, 404, "BLOB_UNKNOWN", "NAME_UNKNOWN");
});

test("Pulling blobs: a blob of another repository is 404", async () => {
  const digest = await newRepository(registry).pushBlob(newContent());
  const response = await newRepository(registry).fetch(`blobs/${digest}`);
  await expectError(response, 404, "BLOB_UNKNOWN", "NAME_UNKNOWN");
});

test.each([
  "latest",
  "sha256:abc",
  `sha256:${"A".repeat(64)}`,
  `sha512:${"a".repeat(64)}`,
  `md5:${"0".repeat(32)}`,
  "sha256:..%2f..%2f..%2fetc%2fpasswd",
  `sha256%3a${"a".repeat(63)}`,
])("Pulling blobs: %s isn't a digest and is 400 with DIGEST_INVALID", async (digest) => {
  const repository = newRepository(registry);
  await repository.pushBlob("known");
  await expectError(await repository.fetch(`blobs/${digest}`), 400, "DIGEST_INVALID");
});

test("Pulling blobs: a digest whose colon is percent-encoded is the same digest", async () => {
  const repository = newRepository(registry);
  const digest = await repository.pushBlob("known");
  const response = await repository.fetch(`blobs/${digest.replace(":", "%3A")}`);
  expect(response.status).toBe(200);
  expect(await response.text()).toBe("known");
});

describe("Pulling blobs: the Range header (RFC 9110, 14)", () => {
  const text = "0123456789abcdefghij";
  let repository: TestRepository;
  let digest: string;
  let etag: string;
  beforeAll(async () => {
    repository = newRepository(registry);
    digest = await repository.pushBlob(text);
    const response = await repository.fetch(`blobs/${digest}`);
    await response.arrayBuffer();
    etag = response.headers.get("etag") ?? "";
  });
  const get = (headers: Record<string, string>) => repository.fetch(`blobs/${digest}`, { headers });

  test("a GET without it says that ranges are served, and has a strong ETag", async () => {
    const response = await get({});
    expect(response.headers.get("accept-ranges")).toBe("bytes");
    expect(response.headers.has("content-range")).toBe(false);
    expect(etag).toMatch(/^"[^"]+"$/);
    await response.arrayBuffer();
  });

  test.each([
    ["bytes=0-3", "0123", "bytes 0-3/20"],
    ["bytes=0-0", "0", "bytes 0-0/20"],
    ["bytes=5-9", "56789", "bytes 5-9/20"],
    ["bytes=19-19", "j", "bytes 19-19/20"],
    ["bytes=15-", "fghij", "bytes 15-19/20"],
    ["bytes=0-", text, "bytes 0-19/20"],
    ["bytes=0-19", text, "bytes 0-19/20"],
    ["bytes=10-1000", "abcdefghij", "bytes 10-19/20"],
    ["bytes=10-99999999999999999999", "abcdefghij", "bytes 10-19/20"],
    ["bytes=-4", "ghij", "bytes 16-19/20"],
    ["bytes=-20", text, "bytes 0-19/20"],
    ["bytes=-1000", text, "bytes 0-19/20"],
    ["Bytes=0-3", "0123", "bytes 0-3/20"],
  ])("%s is 206 with these bytes", async (range, bytes, contentRange) => {
    const response = await get({ range });
    expect(response.status).toBe(206);
    expect(response.headers.get("content-range")).toBe(contentRange);
    expect(response.headers.get("content-length")).toBe(String(bytes.length));
    expect(response.headers.get("etag")).toBe(etag);
    expect(await response.text()).toBe(bytes);
  });

  test.each([
    "bytes=20-",
    "bytes=20-30",
    "bytes=1000-2000",
    "bytes=-0",
    "bytes=5-2",
    "bytes=99999999999999999999-",
  ])("%s can't be satisfied: 416 with the blob's size", async (range) => {
    const response = await get({ range });
    expect(response.headers.get("content-range")).toBe("bytes */20");
    await expectError(response, 416);
  });

  test.each([
    "bytes=",
    "bytes=a-b",
    "bytes =20-",
    "bytes= 5 - 9",
    "bytes=-",
    "bytes 0-3",
    "lines=0-3",
    "0-3",
    "bytes=0-3-5",
  ])("%j isn't a range that is understood, and is ignored", async (range) => {
    const response = await get({ range });
    expect(response.status).toBe(200);
    expect(await response.text()).toBe(text);
  });

  test("several ranges are answered with the whole blob or as multipart, never with one of them", async () => {
    const response = await get({ range: "bytes=0-1,4-5" });
    if (response.status === 206) {
      expect(response.headers.get("content-type")).toStartWith("multipart/byteranges");
      await response.arrayBuffer();
    } else {
      expect(response.status).toBe(200);
      expect(await response.text()).toBe(text);
    }
  });

  test("If-Range with the blob's ETag lets the range apply", async () => {
    const response = await get({ range: "bytes=0-3", "if-range": etag });
    expect(response.status).toBe(206);
    expect(await response.text()).toBe("0123");
  });

  test.each(['"other"', "W/", "", "Thu, 01 Jan 1970 00:00:00 GMT", "nonsense"])(
    "If-Range with %s doesn't: the whole blob comes",
    async (validator) => {
      const ifRange = validator === "W/" ? `W/${etag}` : validator;
      const response = await get({ range: "bytes=0-3", "if-range": ifRange });
      expect(response.status).toBe(200);
      expect(await response.text()).toBe(text);
    },
  );

  test("every range of the empty blob can't be satisfied", async () => {
    const empty = await repository.pushBlob("");
    const response = await repository.fetch(`blobs/${empty}`, { headers: { range: "bytes=0-0" } });
    await expectError(response, 416);
  });

  test("ranges put together are the blob", async () => {
    const content = newContent(1_000_000);
    const large = await repository.pushBlob(content);
    const parts: Uint8Array[] = [];
    for (let start = 0; start < content.byteLength; start += 300_000) {
      const range = `bytes=${start}-${start + 299_999}`;
      const response = await repository.fetch(`blobs/${large}`, { headers: { range } });
      expect(response.status).toBe(206);
      parts.push(await response.bytes());
    }
    expect<string>(digestOf(Buffer.concat(parts))).toBe(large);
  });

  test("a HEAD ignores it", async () => {
    const response = await repository.fetch(`blobs/${digest}`, {
      method: "HEAD",
      headers: { range: "bytes=0-3" },
    });
    expect(response.status).toBe(200);
    expect(response.headers.get("content-length")).toBe("20");
    expect(response.headers.has("content-range")).toBe(false);
  });
});

describe("Pulling blobs: conditional requests (RFC 9110, 13)", () => {
  test("a GET or HEAD with the blob's ETag in If-None-Match is 304 without a body", async () => {
    const repository = newRepository(registry);
    const digest = await repository.pushBlob("known");
    const first = await repository.fetch(`blobs/${digest}`);
    await first.arrayBuffer();
    const etag = first.headers.get("etag") ?? "";
    for (const method of ["GET", "HEAD"]) {
      for (const value of [etag, `W/${etag}`, `"other",${etag}`, "*"]) {
        const headers = { "if-none-match": value };
        const response = await repository.fetch(`blobs/${digest}`, { method, headers });
        expect(response.status).toBe(304);
        expect(response.headers.get("etag")).toBe(etag);
        expect(await response.text()).toBe("");
      }
    }
  });

  test("If-None-Match comes before Range", async () => {
    const repository = newRepository(registry);
    const digest = await repository.pushBlob("known");
    const first = await repository.fetch(`blobs/${digest}`, { method: "HEAD" });
    const headers = { "if-none-match": first.headers.get("etag") ?? "", range: "bytes=0-1" };
    expect((await repository.fetch(`blobs/${digest}`, { headers })).status).toBe(304);
  });

  test("another ETag in If-None-Match gives the blob", async () => {
    const repository = newRepository(registry);
    const digest = await repository.pushBlob("known");
    const headers = { "if-none-match": '"other"' };
    const response = await repository.fetch(`blobs/${digest}`, { headers });
    expect(response.status).toBe(200);
    expect(await response.text()).toBe("known");
  });
});

test("Pulling blobs: a client that goes away in the middle harms nobody", async () => {
  const repository = newRepository(registry);
  const digest = await repository.pushBlob(newContent(8_000_000));
  for (let i = 0; i < 20; i++) {
    const controller = new AbortController();
    const response = await repository.fetch(`blobs/${digest}`, { signal: controller.signal });
    const reader = response.body?.getReader();
    await reader?.read();
    controller.abort();
    await reader?.read().catch(() => {});
  }
  expect(digestOf(await (await repository.fetch(`blobs/${digest}`)).bytes()) as string).toBe(
    digest,
  );
});
