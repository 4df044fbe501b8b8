/** RFC 9110 and 9112: requests that end too early, lie about their length, or aren't HTTP. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { digestOf } from "../../src/oci/digest.ts";
import { OCI_IMAGE_MANIFEST } from "../../src/oci/media-types.ts";
import { startTestRegistry, type TestRegistry } from "../support/registry.ts";
import {
  expectErrorBody,
  newContent,
  newRepository,
  type TestRepository,
  type Upload,
} from "./repository.ts";
import { head, sendRaw } from "./socket.ts";

let registry: TestRegistry;
beforeAll(async () => {
  registry = await startTestRegistry();
});
afterAll(() => registry.stop());

/** The path and query of an absolute URL, as a request line wants it. */
const target = (url: string) => url.slice(registry.url.length);

async function serverGoesOn(): Promise<void> {
  const repository = newRepository(registry);
  await repository.pushImage("v1");
  expect(await repository.tags()).toEqual(["v1"]);
}

/** Waits until the session holds `offset` bytes. */
async function waitForOffset(upload: Upload, offset: number): Promise<void> {
  const range = `0-${Math.max(0, offset - 1)}`;
  for (let i = 0; i < 200; i++) {
    if ((await upload.status()).headers.get("range") === range) return;
    await Bun.sleep(10);
  }
  expect((await upload.status()).headers.get("range")).toBe(range);
}

/** Unfinished files of the store, and upload sessions of one repository. */
async function leftovers(repository: TestRepository): Promise<string[]> {
  const uploads = `docker/registry/v2/repositories/${repository.name}/_uploads`;
  const entries = [".ocireg/tmp", uploads].map((path) => readdir(join(registry.root, path)));
  return (await Promise.all(entries)).flat();
}

describe.each(["end", "reset"] as const)("a body that is cut off by %s", (after) => {
  test("in a PATCH leaves what arrived, and the client goes on from there", async () => {
    const repository = newRepository(registry);
    const content = newContent(100_000);
    const upload = await repository.startUpload();
    const request = head(`PATCH ${target(upload.location)}`, {
      "content-length": content.byteLength,
      "content-range": `0-${content.byteLength - 1}`,
    });
    const arrived = () => waitForOffset(upload, 40_000);
    await sendRaw(registry.host, [request, content.subarray(0, 40_000)], { after, arrived });
    await waitForOffset(upload, 40_000);
    expect((await upload.patch(content.subarray(40_000), 40_000)).status).toBe(202);
    expect((await upload.put(digestOf(content))).status).toBe(201);
  });

  test("in a streamed PATCH leaves what arrived, and the client goes on from there", async () => {
    const repository = newRepository(registry);
    const content = newContent(50_000);
    const upload = await repository.startUpload();
    const request = head(`PATCH ${target(upload.location)}`, { "transfer-encoding": "chunked" });
    const first = content.subarray(0, 20_000);
    const arrived = () => waitForOffset(upload, 20_000);
    await sendRaw(registry.host, [request, "4e20\r\n", first, "\r\n7530\r\n"], { after, arrived });
    await waitForOffset(upload, 20_000);
    const response = await upload.put(digestOf(content), content.subarray(20_000), 20_000);
    expect(response.status).toBe(201);
  });

  test("in the closing PUT stores no blob, and the client goes on from there", async () => {
    const repository = newRepository(registry);
    const content = newContent(100_000);
    const digest = digestOf(content);
    const upload = await repository.startUpload();
    const request = head(`PUT ${target(upload.closing(digest))}`, { "content-length": 100_000 });
    const arrived = () => waitForOffset(upload, 60_000);
    await sendRaw(registry.host, [request, content.subarray(0, 60_000)], { after, arrived });
    await waitForOffset(upload, 60_000);
    expect(await repository.hasBlob(digest)).toBe(false);
    const response = await upload.put(digest, content.subarray(60_000), 60_000);
    expect(response.status).toBe(201);
    expect(await repository.hasBlob(digest)).toBe(true);
  });

  test("in a single POST stores no blob", async () => {
    const repository = newRepository(registry);
    const content = newContent(1000);
    const path = target(repository.url(`blobs/uploads/?digest=${digestOf(content)}`));
    const request = head(`POST ${path}`, { "content-length": 1000 });
    await sendRaw(registry.host, [request, content.subarray(0, 999)], { after });
    expect(await repository.hasBlob(digestOf(content))).toBe(false);
    expect(await repository.hasBlob(digestOf(content.subarray(0, 999)))).toBe(false);
  });

  test("in a manifest stores nothing, even when what arrived is a manifest", async () => {
    const repository = newRepository(registry);
    const body = JSON.stringify(await repository.newImage());
    const request = head(`PUT ${target(repository.url("manifests/v1"))}`, {
      "content-length": body.length + 10,
      "content-type": OCI_IMAGE_MANIFEST,
    });
    await sendRaw(registry.host, [request, body], { after });
    expect(await repository.hasManifest("v1")).toBe(false);
    expect(await repository.hasManifest(digestOf(body))).toBe(false);
    expect((await repository.fetch("tags/list")).status).toBe(404);
  });

  test("many times over leaves no files and sessions behind, and the server goes on", async () => {
    const repository = newRepository(registry);
    const content = newContent(10_000);
    await Promise.all(
      Array.from({ length: 30 }, async () => {
        const path = target(repository.url(`blobs/uploads/?digest=${digestOf(content)}`));
        const request = head(`POST ${path}`, { "content-length": 10_000 });
        await sendRaw(registry.host, [request, content.subarray(0, 5000)], { after });
      }),
    );
    await serverGoesOn();
    for (let i = 0; i < 200 && (await leftovers(repository)).length > 0; i++) await Bun.sleep(10);
    expect(await leftovers(repository)).toEqual([]);
  });
});

describe("a body that isn't as long as it was said", () => {
  test("longer than its Content-Length: the rest isn't taken for content", async () => {
    const repository = newRepository(registry);
    const content = "0123456789";
    const upload = await repository.startUpload();
    const request = head(`PUT ${target(upload.closing(digestOf(content)))}`, {
      "content-length": 10,
    });
    const response = await sendRaw(registry.host, [request, `${content}abcdef`]);
    expect(response?.status).toBe(201);
    expect(await (await repository.fetch(`blobs/${digestOf(content)}`)).text()).toBe(content);
    await serverGoesOn();
  });

  test("a Content-Length that isn't a number, or is there twice, is refused", async () => {
    const repository = newRepository(registry);
    const upload = await repository.startUpload();
    for (const lengths of [["x"], ["-1"], ["1e3"], ["+5"], ["5", "6"]]) {
      const lines = lengths.map((length) => `content-length: ${length}\r\n`).join("");
      const request = `PATCH ${target(upload.location)} HTTP/1.1\r\nhost: x\r\n${lines}\r\nhello`;
      const response = await sendRaw(registry.host, [request], { after: "end" });
      expect(response?.status ?? 400).toBe(400);
    }
    expect((await upload.status()).headers.get("range")).toBe("0-0");
    await serverGoesOn();
  });

  test("both Content-Length and Transfer-Encoding never let a second request in", async () => {
    const repository = newRepository(registry);
    const upload = await repository.startUpload();
    const smuggled = `DELETE ${target(upload.location)} HTTP/1.1\r\nhost: x\r\n\r\n`;
    const request = head(`PATCH ${target(upload.location)}`, {
      "content-length": 5 + smuggled.length,
      "transfer-encoding": "chunked",
    });
    await sendRaw(registry.host, [request, `0\r\n\r\n${smuggled}`], { after: "end" });
    await serverGoesOn();
  });

  test("chunks of a broken length are refused, and nothing of them is stored", async () => {
    const repository = newRepository(registry);
    const path = target(repository.url(`blobs/uploads/?digest=${digestOf("hello")}`));
    for (const chunk of [
      "zz\r\nhello\r\n0\r\n\r\n",
      "-5\r\nhello\r\n0\r\n\r\n",
      "fffffffffffffffff\r\nhello",
    ]) {
      const request = head(`POST ${path}`, { "transfer-encoding": "chunked" });
      const response = await sendRaw(registry.host, [request, chunk], { after: "end" });
      expect(response?.status ?? 400).toBeGreaterThanOrEqual(400);
      expect(await repository.hasBlob(digestOf("hello"))).toBe(false);
    }
    await serverGoesOn();
  });

  test("a manifest that says it is larger than the limit is refused before it is sent", async () => {
    const repository = newRepository(registry);
    const request = head(`PUT ${target(repository.url("manifests/v1"))}`, {
      "content-length": 5_000_000_000,
      "content-type": OCI_IMAGE_MANIFEST,
    });
    const response = await sendRaw(registry.host, [request, "{"]);
    expect(response?.status).toBe(413);
    expectErrorBody(response?.body ?? "");
  });
});

describe("heads out of spec", () => {
  test("headers of any size are answered, and the server goes on", async () => {
    for (const size of [1000, 10_000, 100_000, 1_000_000]) {
      const request = head("GET /v2/", { "x-large": "x".repeat(size) });
      const response = await sendRaw(registry.host, [request], { after: "end" });
      // Beyond the limit there may be no answer at all, only the end of the connection.
      expect([200, 400, 431]).toContain(response?.status ?? 431);
    }
    await serverGoesOn();
  });

  test("a path of any length is answered, and the server goes on", async () => {
    for (const size of [2000, 10_000, 1_000_000]) {
      const request = head(`GET /v2/${"a/".repeat(size / 2)}tags/list`);
      const response = await sendRaw(registry.host, [request], { after: "end" });
      expect([400, 404, 414, 431]).toContain(response?.status ?? 431);
    }
    await serverGoesOn();
  });

  test.each([
    ["no HTTP", "nonsense\r\n\r\n"],
    ["bytes", "\x16\x03\x01\x02\x00\x01\x00\x01"],
    ["no version", "GET /v2/\r\n\r\n"],
    ["HTTP/2 in the clear", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"],
    ["a header without a colon", "GET /v2/ HTTP/1.1\r\nhost: x\r\nnonsense\r\n\r\n"],
    ["a space before the colon", "GET /v2/ HTTP/1.1\r\nhost : x\r\n\r\n"],
    ["a NUL in a header", "GET /v2/ HTTP/1.1\r\nhost: x\r\nx: a\0b\r\n\r\n"],
    ["a bare line feed", "GET /v2/ HTTP/1.1\nhost: x\n\n"],
    ["no host", "GET /v2/ HTTP/1.1\r\n\r\n"],
    [
      "an absolute URL of another host",
      "GET http://169.254.169.254/v2/ HTTP/1.1\r\nhost: x\r\n\r\n",
    ],
    ["CONNECT", "CONNECT example.com:443 HTTP/1.1\r\nhost: example.com\r\n\r\n"],
    ["an unknown method", "BREW /v2/ HTTP/1.1\r\nhost: x\r\n\r\n"],
    ["TRACE", "TRACE /v2/ HTTP/1.1\r\nhost: x\r\n\r\n"],
    ["a star", "OPTIONS * HTTP/1.1\r\nhost: x\r\n\r\n"],
    ["half a request", "GET /v2/ HT"],
    ["nothing", ""],
  ])("%s does no harm", async (_, request) => {
    const response = await sendRaw(registry.host, [request], { after: "end" });
    expect(response?.status ?? 400).not.toBe(500);
    await serverGoesOn();
  });

  test("a short and an empty Host header change nothing", async () => {
    for (const host of ["r", "reg", "", "a.b.c.d.e.f.example:5000"]) {
      const response = await sendRaw(registry.host, [head("GET /v2/", { host })]);
      expect(response?.status).toBe(200);
      const unknown = await sendRaw(registry.host, [head("GET /v2/unknown/tags/list", { host })]);
      expect(unknown?.status).toBe(404);
      expectErrorBody(unknown?.body ?? "", "NAME_UNKNOWN");
    }
  });

  test("Expect: 100-continue is answered, and the body is taken", async () => {
    const repository = newRepository(registry);
    const path = target(repository.url(`blobs/uploads/?digest=${digestOf("hello")}`));
    const request = head(`POST ${path}`, { "content-length": 5, expect: "100-continue" });
    const response = await sendRaw(registry.host, [request, "hello"]);
    expect(response?.status).toBe(201);
  });

  test("requests sent at once over one connection are answered in order", async () => {
    const request = head("GET /v2/");
    const response = await sendRaw(registry.host, [request + request + request]);
    expect(response?.status).toBe(200);
    await serverGoesOn();
  });
});

test("a newer request for a session ends an older one that hangs", async () => {
  const repository = newRepository(registry);
  const content = newContent(1000);
  const upload = await repository.startUpload();
  const request = head(`PATCH ${target(upload.location)}`, { "content-length": 1000 });
  const hanging = sendRaw(registry.host, [request, content.subarray(0, 300)]);
  await waitForOffset(upload, 300);
  expect((await upload.patch(content.subarray(300), 300)).status).toBe(202);
  expect((await upload.put(digestOf(content))).status).toBe(201);
  expect(await repository.hasBlob(digestOf(content))).toBe(true);
  void hanging;
});

test("a session that two requests close at once becomes one blob", async () => {
  const repository = newRepository(registry);
  const content = newContent(200_000);
  const digest = digestOf(content);
  for (let i = 0; i < 10; i++) {
    const upload = await repository.startUpload();
    await upload.patch(content, 0);
    const closed = await Promise.all([upload.put(digest), upload.put(digest)]);
    const statuses = closed.map((response) => response.status);
    expect(statuses).toContain(201);
    for (const status of statuses) expect([201, 400, 404]).toContain(status);
    expect(await (await repository.fetch(`blobs/${digest}`)).bytes()).toEqual(content);
  }
});
