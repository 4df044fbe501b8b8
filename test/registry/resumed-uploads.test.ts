import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { digestOf } from "../../src/oci/digest.ts";
import type { PushBlobOptions } from "../../src/registry/client.ts";
import { startCuttingProxy } from "../support/cutting-proxy.ts";
import { type Distribution, startDistribution } from "../support/distribution.ts";
import { startTestRegistry, type TestRegistry } from "../support/registry.ts";
import { temporaryDirectory } from "../support/temp.ts";
import { describeWith } from "../support/tools.ts";
import { errorAnswer, failureOf, newClient, startHost } from "./fixtures.ts";

const MIB = 1024 * 1024;

/** A file with random bytes, and what describes it. */
async function largeFile(size: number) {
  const path = join(temporaryDirectory(), "file");
  const bytes = new Uint8Array(size);
  for (let start = 0; start < size; start += 65_536) {
    crypto.getRandomValues(bytes.subarray(start, start + 65_536));
  }
  await Bun.write(path, bytes);
  return { path, descriptor: { digest: digestOf(bytes), size } };
}

/**
 * The sessions that are left in a data directory in the layout of registry:2. Of one that was
 * cancelled, distribution leaves an empty hash behind.
 */
function sessionsIn(root: string, repository: string): string[] {
  const path = join(root, "docker/registry/v2/repositories", repository, "_uploads");
  const sessions = existsSync(path) ? readdirSync(path) : [];
  return sessions.filter((id) => existsSync(join(path, id, "data")));
}

/** What has to hold at every registry that keeps the bytes of a request that broke off. */
function resumes(at: () => { host: string; root: string }): void {
  test("sends only what is missing after its connection was cut, twice", async () => {
    const { path, descriptor } = await largeFile(48 * MIB);
    const cutAt = [10 * MIB, 30 * MIB];
    const proxy = await startCuttingProxy(at().host, { direction: "up", cutAt });
    const { client, events } = newClient();
    const progress: number[] = [];
    const pushed = client.pushBlob(
      { registry: proxy.host, repository: "cut" },
      descriptor,
      () => Bun.file(path),
      { onProgress: (bytes) => progress.push(bytes) },
    );
    expect(await pushed).toBe("uploaded");
    expect(proxy.cutsLeft).toBe(0);
    expect(events.filter(({ type }) => type === "retry").length).toBe(2);
    // What was on its way at a cut may have to be sent again.
    expect(proxy.bytes).toBeLessThan(48 * MIB + 2 * 4 * MIB);
    expect(progress.at(-1)).toBe(descriptor.size);
    const repository = { registry: at().host, repository: "cut" };
    const stored = await newClient().client.openBlob(repository, descriptor);
    expect((await new Response(stored).blob()).size).toBe(descriptor.size);
    expect(sessionsIn(at().root, "cut")).toEqual([]);
  }, 60_000);

  test("leaves no session behind when its caller leaves", async () => {
    const { path, descriptor } = await largeFile(64 * MIB);
    const leaving = new AbortController();
    const options: PushBlobOptions = {
      signal: leaving.signal,
      onProgress(bytes) {
        if (bytes > 8 * MIB) leaving.abort(new Error("I leave"));
      },
    };
    const repository = { registry: at().host, repository: "left" };
    const { client } = newClient();
    const pushing = client.pushBlob(repository, descriptor, () => Bun.file(path), options);
    await expect(pushing).rejects.toThrow("I leave");
    expect(sessionsIn(at().root, "left")).toEqual([]);
  });

  test("leaves no session behind when its content can't be read", async () => {
    const { path, descriptor } = await largeFile(MIB);
    const repository = { registry: at().host, repository: "failed" };
    let opened = 0;
    const body = {
      size: descriptor.size,
      open: () => {
        opened++;
        return Bun.file(path)
          .stream()
          .pipeThrough(
            new TransformStream<Uint8Array, Uint8Array>({
              flush: () => {
                throw new Error("it broke");
              },
              transform: (chunk, controller) => controller.enqueue(chunk.subarray(1)),
            }),
          );
      },
    };
    const pushing = newClient().client.pushBlob(repository, descriptor, () => body);
    await expect(pushing).rejects.toThrow("it broke");
    expect(opened).toBe(1);
    expect(sessionsIn(at().root, "failed")).toEqual([]);
  });
}

describe("an upload to our registry", () => {
  let registry: TestRegistry;
  beforeAll(async () => {
    registry = await startTestRegistry();
  });
  afterAll(() => registry.stop());
  resumes(() => registry);

  test("is a mount where another repository has the blob, without being told which", async () => {
    const { path, descriptor } = await largeFile(1000);
    const { client } = newClient();
    const at = (repository: string) => ({ registry: registry.host, repository });
    const open = () => Bun.file(path);
    expect(await client.pushBlob(at("mount/one"), descriptor, open)).toBe("uploaded");
    expect(await client.pushBlob(at("mount/two"), descriptor, open)).toBe("mounted");
  });
});

describeWith("registry", "an upload to distribution", () => {
  let registry: Distribution;
  beforeAll(async () => {
    registry = await startDistribution(temporaryDirectory());
  });
  afterAll(() => registry?.stop());
  resumes(() => registry);
});

interface SessionRegistry {
  /** Fails a request with a body, given how many there were before it; else it is taken. */
  readonly refuse?: (count: number, request: Request, body: Uint8Array) => Response | undefined;
  /** What the `Range` of a status says. @default what was taken */
  readonly range?: (taken: number) => string | undefined;
  readonly headers?: Record<string, string>;
}

/** A registry that keeps sessions in memory and that misbehaves as it is told. */
function startSessions({ refuse, range, headers = {} }: SessionRegistry) {
  const sessions = new Map<string, Uint8Array>();
  const sizes: string[] = [];
  let count = 0;
  const registry = startHost(async (request, url) => {
    const { method } = request;
    if (method === "HEAD") return new Response(null, { status: 404 });
    if (method === "POST") {
      const location = `/u/${sessions.size + 1}`;
      sessions.set(location, new Uint8Array());
      return new Response(null, { status: 202, headers: { ...headers, location } });
    }
    const taken = sessions.get(url.pathname);
    if (!taken) return errorAnswer(404, "BLOB_UPLOAD_UNKNOWN");
    const where = (bytes: number) => {
      const said = range ? range(bytes) : `0-${Math.max(0, bytes - 1)}`;
      return { location: url.pathname, ...(said !== undefined && { range: said }) };
    };
    if (method === "GET") {
      return new Response(null, { status: 204, headers: where(taken.byteLength) });
    }
    if (method === "DELETE") {
      sessions.set(url.pathname, new Uint8Array());
      return new Response(null, { status: 204 });
    }
    const body = await request.bytes().catch(() => undefined);
    if (!body) return errorAnswer(400, "BLOB_UPLOAD_INVALID");
    sizes.push(`${method} ${request.headers.get("content-range") ?? body.byteLength}`);
    const refusal = refuse?.(count++, request, body);
    if (refusal) return refusal;
    const all = Buffer.concat([taken, body]);
    sessions.set(url.pathname, all);
    if (method === "PATCH") {
      return new Response(null, { status: 202, headers: where(all.byteLength) });
    }
    const isRight = digestOf(all) === url.searchParams.get("digest");
    return isRight ? new Response(null, { status: 201 }) : errorAnswer(400, "DIGEST_INVALID");
  });
  return {
    ...registry,
    sizes,
    keep: (path: string, bytes: Uint8Array) => sessions.set(path, bytes),
  };
}

describe("an upload to a registry", () => {
  const bytes = new Uint8Array(6 * MIB).map((_, index) => index % 251);
  const descriptor = { digest: digestOf(bytes), size: bytes.byteLength };
  const push = (host: string) =>
    newClient().client.pushBlob({ registry: host, repository: "a" }, descriptor, () => bytes);

  test("that takes no large requests goes in chunks, as large as it takes", async () => {
    const { host, sizes } = startSessions({
      refuse: (_, __, body) =>
        body.byteLength > 2 * MIB ? errorAnswer(413, "SIZE_INVALID") : undefined,
    });
    expect(await push(host)).toBe("uploaded");
    const last = (index: number) => Math.floor((1.5 * index * MIB) | 0) - 1;
    expect(sizes).toEqual([
      `PUT ${6 * MIB}`,
      `PATCH 0-${3 * MIB - 1}`,
      `PATCH 0-${last(1)}`,
      `PATCH ${last(1) + 1}-${last(2)}`,
      `PATCH ${last(2) + 1}-${last(3)}`,
      `PUT ${last(3) + 1}-${6 * MIB - 1}`,
    ]);
  });

  test("that asks for large chunks gets none that are smaller", async () => {
    const { host, sizes } = startSessions({
      headers: { "oci-chunk-min-length": String(4 * MIB) },
      refuse: (_, __, body) =>
        body.byteLength > 4 * MIB ? errorAnswer(413, "SIZE_INVALID") : undefined,
    });
    expect(await push(host)).toBe("uploaded");
    expect(sizes).toEqual([
      `PUT ${6 * MIB}`,
      `PATCH 0-${4 * MIB - 1}`,
      `PUT ${4 * MIB}-${6 * MIB - 1}`,
    ]);
  });

  test("that takes no request at all is a failure", async () => {
    const { host } = startSessions({ refuse: () => errorAnswer(413, "SIZE_INVALID") });
    const failure = await failureOf(push(host));
    expect(failure.message).toContain("answered 413 SIZE_INVALID");
  }, 30_000);

  test("that keeps nothing of what breaks off goes in chunks", async () => {
    const large = new Uint8Array(40 * MIB);
    const wanted = { digest: digestOf(large), size: large.byteLength };
    const { host, sizes } = startSessions({});
    const proxy = await startCuttingProxy(host, { direction: "up", cutAt: [20 * MIB] });
    const repository = { registry: proxy.host, repository: "a" };
    expect(await newClient().client.pushBlob(repository, wanted, () => large)).toBe("uploaded");
    expect(sizes).toEqual([`PATCH 0-${32 * MIB - 1}`, `PUT ${32 * MIB}-${40 * MIB - 1}`]);
  });

  test("that says 416 goes on from where that is", async () => {
    const { host, sizes, keep } = startSessions({
      refuse(count, request) {
        if (count > 0) return undefined;
        keep(new URL(request.url).pathname, bytes.subarray(0, MIB));
        return errorAnswer(416, "RANGE_INVALID");
      },
    });
    expect(await push(host)).toBe("uploaded");
    expect(sizes).toEqual([`PUT ${6 * MIB}`, `PUT ${MIB}-${6 * MIB - 1}`]);
  });

  test("that has all but the end of the last request is only asked to close", async () => {
    const { host, sizes, keep } = startSessions({
      refuse(count, request) {
        if (count > 0) return undefined;
        keep(new URL(request.url).pathname, bytes);
        return errorAnswer(503, "UNAVAILABLE");
      },
    });
    expect(await push(host)).toBe("uploaded");
    expect(sizes).toEqual([`PUT ${6 * MIB}`, "PUT 0"]);
  });

  test.each([
    ["no range", () => undefined],
    ["an empty session", () => "0-0"],
    ["more than was sent", () => `0-${7 * MIB}`],
    ["something else", () => "bytes 1-2/3"],
  ])("that says %s after a break gets everything in a new session", async (_, range) => {
    const { host, sizes, requests } = startSessions({
      range,
      refuse: (count) => (count === 0 ? errorAnswer(503, "UNAVAILABLE") : undefined),
    });
    expect(await push(host)).toBe("uploaded");
    expect(sizes).toEqual([`PUT ${6 * MIB}`, `PUT ${6 * MIB}`]);
    expect(requests).toContain("DELETE /u/1");
  });

  test("that puts parts together wrongly, or refuses them, gets the whole again", async () => {
    const { host, sizes, keep } = startSessions({
      refuse(count, request) {
        if (count > 0) return undefined;
        keep(new URL(request.url).pathname, new Uint8Array(MIB));
        return errorAnswer(503, "UNAVAILABLE");
      },
    });
    expect(await push(host)).toBe("uploaded");
    expect(sizes).toEqual([`PUT ${6 * MIB}`, `PUT ${MIB}-${6 * MIB - 1}`, `PUT ${6 * MIB}`]);
  });

  test("that wants to be left alone for a while is", async () => {
    const { host, sizes } = startSessions({
      refuse: (count) =>
        count === 0 ? errorAnswer(429, "TOOMANYREQUESTS", { "retry-after": "1" }) : undefined,
    });
    const { client, events } = newClient();
    await client.pushBlob({ registry: host, repository: "a" }, descriptor, () => bytes);
    expect(events).toMatchObject([{ type: "retry", delay: 1000 }]);
    expect(sizes.length).toBe(2);
  });

  test("that doesn't like mounts gets an upload", async () => {
    const { host, requests } = startHost((request, url) => {
      if (request.method === "HEAD") return new Response(null, { status: 404 });
      if (request.method === "PUT") return new Response(null, { status: 201 });
      return url.searchParams.has("mount")
        ? errorAnswer(400, "UNSUPPORTED")
        : new Response(null, { status: 202, headers: { location: "/u" } });
    });
    expect(await push(host)).toBe("uploaded");
    expect(requests.filter((line) => line.startsWith("POST")).length).toBe(2);
  });
});
