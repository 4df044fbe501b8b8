/** Blobs in parts from several hosts, of which some fail: every scenario ends with the right bytes. */
import { afterAll, describe, expect, test } from "bun:test";
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Digest, digestOf } from "../../src/oci/digest.ts";
import { parseReference } from "../../src/oci/reference.ts";
import { BlobDirectory } from "../../src/pull/blobs.ts";
import { PartialBlob } from "../../src/pull/engine/partial.ts";
import type { TransferEvent } from "../../src/pull/events.ts";
import { fetchBlobs } from "../../src/pull/transfer.ts";
import { type ClientEvent, RegistryClient } from "../../src/registry/client.ts";
import { temporaryDirectory } from "../support/temp.ts";
import { failureOf } from "./fixtures.ts";

const MEBI = 1024 * 1024;
/** Some parts, and a small one. */
const contents = [20 * MEBI + 7, 9 * MEBI, 1000].map((size, index) => {
  const bytes = new Uint8Array(size);
  for (let at = 0; at < size; at += 1000) bytes[at] = (at / 1000 + index) % 251;
  return bytes;
});
const blobs = contents.map((bytes) => ({ digest: digestOf(bytes), size: bytes.byteLength }));
const byDigest = new Map<string, Uint8Array<ArrayBuffer>>(
  blobs.map(({ digest }, index) => [digest, contents[index] ?? new Uint8Array()]),
);

/** What a host makes of a request for bytes; undefined: what it should. */
type Behaviour = (asked: Asked) => Response | undefined;
interface Asked {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly start: number;
  readonly end: number;
  /** Requests before this one. */
  readonly count: number;
  readonly etag: string;
}

const stops: (() => void)[] = [];
afterAll(() => {
  for (const stop of stops) stop();
});

interface ContentHost {
  readonly host: string;
  readonly asked: string[];
}

/** A host that has the blobs, under an entity tag of its own. */
function startContentHost(behave: Behaviour = () => undefined): ContentHost {
  const asked: string[] = [];
  const server: Bun.Server<undefined> = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    fetch(request) {
      const digest = new URL(request.url).pathname.split("/").at(-1) ?? "";
      const bytes = byDigest.get(digest);
      if (!bytes) return new Response(null, { status: 404 });
      const etag = `"${server.port}"`;
      const condition = request.headers.get("if-range");
      const range = /bytes=(\d+)-(\d+)/.exec(request.headers.get("range") ?? "");
      const isPart = range && (condition === null || condition === etag);
      const [start, end] = isPart
        ? [Number(range[1]), Number(range[2]) + 1]
        : [0, bytes.byteLength];
      const own = behave({ bytes, start, end, etag, count: asked.length });
      asked.push(`${digest} ${start}-${end}`);
      return own ?? answer({ bytes, start, end, etag }, Boolean(isPart));
    },
  });
  stops.push(() => void server.stop(true));
  return { host: `127.0.0.1:${server.port}`, asked };
}

function answer({ bytes, start, end, etag }: Omit<Asked, "count">, isPart: boolean): Response {
  const range = `bytes ${start}-${end - 1}/${bytes.byteLength}`;
  return new Response(bytes.subarray(start, end), {
    status: isPart ? 206 : 200,
    headers: { etag, ...(isPart && { "content-range": range }) },
  });
}

/** Fetches all blobs of `registry`, and returns what was told. */
async function fetchAll(
  registry: ContentHost,
  mirrors: readonly string[],
  wanted: readonly { digest: Digest; size: number }[] = blobs,
  into = new BlobDirectory(join(temporaryDirectory(), "cache")),
) {
  const events: (ClientEvent | TransferEvent)[] = [];
  const onEvent = (event: ClientEvent | TransferEvent) => void events.push(event);
  const client = new RegistryClient({
    env: { HOME: temporaryDirectory() },
    mirrors: { [registry.host]: mirrors.map((host) => `http://${host}`) },
    onEvent,
  });
  const repository = parseReference(`${registry.host}/a/b`);
  await fetchBlobs(wanted, into, { client, repository, onEvent });
  for (const { digest } of wanted) expect(digestOf(readFileSync(into.path(digest)))).toBe(digest);
  expect(readdirSync(into.partial)).toEqual([]);
  const warnings = events.flatMap((event) => (event.type === "warning" ? [event.message] : []));
  return { events, warnings };
}

describe("blobs that a mirror has", () => {
  test("come from there, and nothing is asked of the registry", async () => {
    const [registry, mirror] = [startContentHost(), startContentHost()];
    const { warnings } = await fetchAll(registry, [mirror.host]);
    expect(registry.asked).toEqual([]);
    expect(warnings).toEqual([]);
    expect(mirror.asked.length).toBeGreaterThan(3);
  });

  test("come from the registry where the mirror lacks them", async () => {
    const registry = startContentHost();
    const mirror = startContentHost(({ bytes }) =>
      bytes.byteLength > 10 * MEBI ? new Response(null, { status: 404 }) : undefined,
    );
    const { warnings } = await fetchAll(registry, [mirror.host]);
    expect(warnings).toEqual([]);
    expect(new Set(registry.asked.map((line) => line.split(" ")[0]))).toEqual(
      new Set([blobs[0]?.digest]),
    );
  });

  test.each([
    ["refuses", () => new Response(null, { status: 403 })],
    ["has other lengths", () => new Response("x")],
    [
      "sends other parts than were asked for",
      ({ bytes, start, end, etag }: Asked) =>
        answer({ bytes, start: start + 1, end: end + 1, etag }, true),
    ],
  ] satisfies [string, Behaviour][])(
    "come from the registry where the mirror %s, which is named once",
    async (_, behave) => {
      const registry = startContentHost();
      const mirror = startContentHost(behave);
      const { warnings } = await fetchAll(registry, [mirror.host]);
      expect(warnings).toHaveLength(1);
      expect(warnings[0]).toStartWith(`the mirror http://${mirror.host} of ${registry.host} `);
    },
  );

  test.each([500, 503])(
    "come from the registry meanwhile where the mirror answers %d for ever, which is told",
    async (status) => {
      const registry = startContentHost();
      const mirror = startContentHost(() => new Response(null, { status }));
      const { events, warnings } = await fetchAll(registry, [mirror.host]);
      expect(warnings.length).toBeLessThan(2);
      expect(JSON.stringify(events)).toContain(`${mirror.host} answered ${status}`);
    },
  );

  test("are completed by the registry where a mirror fails in the middle", async () => {
    const registry = startContentHost();
    const mirror = startContentHost(({ count }) =>
      count >= 3 ? new Response(null, { status: 500 }) : undefined,
    );
    await fetchAll(registry, [mirror.host]);
    // What had come is kept: the hosts' entity tags have nothing to do with each other.
    const first = blobs[0]?.digest ?? "";
    expect(registry.asked).not.toContain(`${first} 0-${20 * MEBI + 7}`);
  });

  test("come in parts from the registry where the mirror sends only all of them", async () => {
    const registry = startContentHost();
    const mirror = startContentHost(({ bytes, etag, count }) =>
      // At first it does parts, and so some of the blob is here already.
      count < 2 ? undefined : answer({ bytes, start: 0, end: bytes.byteLength, etag }, false),
    );
    await fetchAll(registry, [mirror.host], blobs.slice(0, 1));
    expect(registry.asked.length).toBeGreaterThan(0);
  });

  test("come from elsewhere where a mirror falsifies them, which is not asked again", async () => {
    const registry = startContentHost();
    const mirror = startContentHost(({ bytes, start, end, etag }) => {
      const falsified = bytes.slice();
      falsified[start] = (falsified[start] ?? 0) ^ 1;
      return answer({ bytes: falsified, start, end, etag }, true);
    });
    const { warnings } = await fetchAll(registry, [mirror.host]);
    expect(warnings).toHaveLength(1);
    expect(warnings[0]).toContain(
      `the mirror http://${mirror.host} of ${registry.host} is dropped`,
    );
    const asked = mirror.asked.length;
    await fetchAll(registry, []);
    expect(mirror.asked).toHaveLength(asked);
  });

  test("cost no mirror its good name where an earlier run left others", async () => {
    const into = new BlobDirectory(join(temporaryDirectory(), "cache"));
    const [blob = { digest: digestOf(""), size: 0 }] = blobs;
    mkdirSync(into.partial, { recursive: true });
    const name = `${blob.digest.replace(":", "-")}.0123456789abcdef`;
    const left = await PartialBlob.open(join(into.partial, name), blob.size);
    left.note(0, 5 * MEBI);
    left.note(12 * MEBI, 13 * MEBI);
    await left.close();
    writeFileSync(left.path, new Uint8Array(blob.size).fill(1), { flag: "r+" });
    const [registry, mirror] = [startContentHost(), startContentHost()];
    const { events, warnings } = await fetchAll(registry, [mirror.host], [blob], into);
    expect(warnings).toEqual([]);
    expect(JSON.stringify(events)).toContain("what there is of it has the digest");
    expect(registry.asked).toEqual([]);
  });

  test("come from the mirror where the registry lacks them", async () => {
    const registry = startContentHost(() => new Response(null, { status: 404 }));
    const mirror = startContentHost(({ count }) =>
      count === 2 ? new Response(null, { status: 503 }) : undefined,
    );
    await fetchAll(registry, [mirror.host]);
  });

  test("are missing where nobody has them, as the registry says", async () => {
    const nothing = () => new Response(null, { status: 404 });
    const [registry, mirror] = [startContentHost(nothing), startContentHost(nothing)];
    const { message } = await failureOf(fetchAll(registry, [mirror.host]), "not-found");
    expect(message).toContain(`${registry.host} answered 404`);
  });
});
