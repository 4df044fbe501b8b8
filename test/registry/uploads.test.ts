import { describe, expect, test } from "bun:test";
import { truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { digestOf } from "../../src/oci/digest.ts";
import { runChecked } from "../support/programs.ts";
import { startTestRegistry } from "../support/registry.ts";
import { temporaryDirectory } from "../support/temp.ts";
import { blobOf, errorAnswer, failureOf, newClient, startHost, startRawHost } from "./fixtures.ts";

const { bytes, descriptor } = blobOf("content to push ".repeat(1000));

interface FakeUploads {
  /** What POST answers with. */
  readonly location: (url: URL, session: number) => string | undefined;
  /** What PUT answers with, once its body was read. */
  readonly put: (session: number, body: Uint8Array, url: URL) => Response;
  /** Whether HEAD finds the blob. @default never */
  readonly has?: () => boolean;
}

/** A registry that counts upload sessions. */
function startUploads({ location, put, has = () => false }: FakeUploads) {
  let sessions = 0;
  return startHost(async (request, url) => {
    if (request.method === "HEAD") {
      return has()
        ? new Response(null, { headers: { "content-length": String(descriptor.size) } })
        : new Response(null, { status: 404 });
    }
    if (request.method === "POST") {
      const where = location(url, ++sessions);
      return new Response(null, {
        status: 202,
        headers: where === undefined ? {} : { location: where },
      });
    }
    // It knows neither the state of an upload nor how to cancel one.
    if (request.method !== "PUT") return new Response(null, { status: 405 });
    return put(sessions, await request.bytes(), url);
  });
}

function push(host: string, client = newClient().client, options = {}) {
  const repository = { registry: host, repository: "a" };
  return client.pushBlob(repository, descriptor, () => bytes, options);
}

const created = () => new Response(null, { status: 201 });

describe("an upload", () => {
  test.each([
    ["/upload/1", "/upload/1"],
    ["../../uploads/1?state=a%2Fb+c~", "/v2/a/uploads/1?state=a%2Fb+c~"],
    ["?state=x", "/v2/a/blobs/uploads/?state=x"],
  ])("goes to the location %p with the digest appended", async (location, expected) => {
    const { host, requests } = startUploads({ location: () => location, put: created });
    expect(await push(host)).toBe("uploaded");
    const separator = expected.includes("?") ? "&" : "?";
    const digest = encodeURIComponent(descriptor.digest);
    expect(requests.at(-1)).toBe(`PUT ${expected}${separator}digest=${digest}`);
  });

  test("sends its content whole, with its length", async () => {
    let received: Uint8Array | undefined;
    let length: string | null = null;
    const { host } = startHost(async (request) => {
      if (request.method === "HEAD") return new Response(null, { status: 404 });
      if (request.method === "POST") {
        return new Response(null, { status: 202, headers: { location: "/u" } });
      }
      length = request.headers.get("content-length");
      received = await request.bytes();
      return created();
    });
    await push(host);
    expect(String(length)).toBe(String(descriptor.size));
    expect(digestOf(received ?? "")).toBe(descriptor.digest);
  });

  test("takes no credentials to another host", async () => {
    const storage = startHost(created);
    const registry = startHost((request) => {
      if (!request.headers.has("authorization")) {
        const headers = { "www-authenticate": 'Basic realm="r"' };
        return new Response(null, { status: 401, headers });
      }
      if (request.method === "HEAD") return new Response(null, { status: 404 });
      const location = `http://${storage.host}/upload?signature=x`;
      return new Response(null, { status: 202, headers: { location } });
    });
    const options = { username: "me", password: "hidden", credentialRegistry: registry.host };
    expect(await push(registry.host, newClient(options).client)).toBe("uploaded");
    expect(storage.authorizations).toEqual([null]);
  });

  test.each([
    ["no location", undefined],
    ["a file", "file:///tmp/x"],
    ["nothing that is a URL", "http://"],
  ])("isn't sent to %s", async (_, location) => {
    const { host, requests } = startUploads({ location: () => location, put: created });
    expect((await failureOf(push(host))).kind).toBe("content");
    expect(requests.some((request) => request.startsWith("PUT"))).toBe(false);
  });

  test.each([429, 500, 502, 503, 504, 404])("begins a new session after %d", async (status) => {
    const { host } = startUploads({
      location: (_, session) => `/upload/${session}`,
      put: (session, body) =>
        session === 1
          ? new Response(null, { status })
          : body.byteLength === descriptor.size
            ? created()
            : errorAnswer(400, "SIZE_INVALID"),
    });
    const { client, events } = newClient();
    const progress: number[] = [];
    const onProgress = (sent: number) => progress.push(sent);
    expect(await push(host, client, { onProgress })).toBe("uploaded");
    expect(events.length).toBe(1);
    expect(progress.filter((sent) => sent === 0).length).toBe(2);
  });

  test("isn't repeated when the registry has the blob after all", async () => {
    let stored = false;
    const { host, requests } = startUploads({
      location: () => "/upload",
      put: () => {
        stored = true;
        return new Response(null, { status: 504 });
      },
      has: () => stored,
    });
    expect(await push(host)).toBe("uploaded");
    expect(requests.filter((request) => request.startsWith("PUT")).length).toBe(1);
  });

  test("is given up after a few sessions", async () => {
    const { host, requests } = startUploads({
      location: () => "/upload",
      put: () => errorAnswer(503, "UNAVAILABLE", { "retry-after": "0" }),
    });
    const failure = await failureOf(push(host));
    expect(failure.kind).toBe("network");
    expect(failure.message).toContain("503 UNAVAILABLE");
    expect(requests.filter((request) => request.startsWith("PUT")).length).toBe(5);
  }, 30_000);

  test("of content that the registry finds other than announced is a failure at once", async () => {
    const { host, requests } = startUploads({
      location: () => "/upload",
      put: () => errorAnswer(400, "DIGEST_INVALID"),
    });
    const failure = await failureOf(push(host));
    expect(failure.kind).toBe("content");
    expect(failure.message).toContain("DIGEST_INVALID");
    expect(requests.filter((request) => request.startsWith("PUT")).length).toBe(1);
  });

  test("is given up when the registry stops reading it", async () => {
    const host = await startRawHost((socket, head) => {
      if (head.startsWith("HEAD"))
        socket.write("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n");
      if (head.startsWith("POST")) {
        socket.write("HTTP/1.1 202 Accepted\r\nLocation: /u\r\nContent-Length: 0\r\n\r\n");
      }
      if (head.startsWith("PUT")) socket.pause();
    });
    const size = 64 * 1024 * 1024;
    const large = { digest: digestOf("never computed"), size };
    const { client, events } = newClient({ stallTimeout: 300 });
    const repository = { registry: host, repository: "a" };
    const failure = await failureOf(client.pushBlob(repository, large, () => new Uint8Array(size)));
    expect(failure.kind).toBe("network");
    expect(failure.message).toContain("nothing moved");
    expect(events.length).toBeLessThan(5);
  });

  test("isn't begun for content of another size", async () => {
    const registry = await startTestRegistry();
    const repository = { registry: registry.host, repository: "a" };
    const { client } = newClient();
    const short = client.pushBlob(repository, descriptor, () => bytes.subarray(1));
    expect((await failureOf(short)).message).toContain("15999 bytes, not 16000");
    await registry.stop();
  });

  test("fails on a file that is gone or that shrinks while it is sent", async () => {
    const registry = await startTestRegistry();
    const repository = { registry: registry.host, repository: "a" };
    const { client } = newClient();
    const path = join(temporaryDirectory(), "file");
    const absent = client.pushBlob(repository, descriptor, () => Bun.file(path));
    await failureOf(absent);

    const size = 64 * 1024 * 1024;
    writeFileSync(path, "");
    truncateSync(path, size);
    const wanted = { digest: digestOf("never computed"), size };
    let isCut = false;
    const onProgress = (sent: number) => {
      if (sent === 0 || isCut) return;
      isCut = true;
      truncateSync(path, 1024 * 1024);
    };
    const cut = client.pushBlob(repository, wanted, () => Bun.file(path), { onProgress });
    expect((await failureOf(cut)).kind).toBe("content");
    expect(await client.statBlob(repository, wanted.digest)).toBeUndefined();
    await registry.stop();
  });

  test("ends with its caller's reason", async () => {
    const registry = await startTestRegistry();
    const repository = { registry: registry.host, repository: "a" };
    const path = join(temporaryDirectory(), "file");
    const size = 256 * 1024 * 1024;
    writeFileSync(path, "");
    truncateSync(path, size);
    const leaving = new AbortController();
    const onProgress = (sent: number) => {
      if (sent > 0) leaving.abort(new Error("I leave"));
    };
    const options = { onProgress, signal: leaving.signal };
    const wanted = { digest: digestOf("never computed"), size };
    const pushing = newClient().client.pushBlob(repository, wanted, () => Bun.file(path), options);
    expect(pushing).rejects.toThrow("I leave");
    await pushing.catch(() => {});
    await registry.stop();
  });

  test("of half a gigabyte and its download stay within 150 MB of memory", async () => {
    const registry = await startTestRegistry();
    const path = join(temporaryDirectory(), "file");
    writeFileSync(path, "");
    truncateSync(path, 512 * 1024 ** 2);
    // A process of its own: the peak that is measured is the client's alone.
    const script = join(import.meta.dir, "transfer-large.ts");
    const peak = Number(await runChecked([process.execPath, script, registry.host, path]));
    expect(peak).toBeGreaterThan(0);
    expect(peak).toBeLessThan(150 * 1024 * 1024);
    await registry.stop();
  }, 60_000);
});
