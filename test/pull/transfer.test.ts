import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import {
  chmodSync,
  readdirSync,
  readFileSync,
  statSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { type Digest, digestOf } from "../../src/oci/digest.ts";
import { parseReference } from "../../src/oci/reference.ts";
import { BlobDirectory } from "../../src/pull/blobs.ts";
import type { TransferEvent } from "../../src/pull/events.ts";
import { fetchBlobs } from "../../src/pull/transfer.ts";
import { temporaryDirectory } from "../support/temp.ts";
import { failureOf, startWorld, storedBlob, treeIfThere, type World } from "./fixtures.ts";

let world: World;
beforeAll(async () => {
  world = await startWorld();
});
afterAll(() => world.registry.stop());

const repository = () => world.reference("transfers/one");

async function upload(content: string): Promise<{ digest: Digest; size: number }> {
  const bytes = new TextEncoder().encode(content);
  const blob = { digest: digestOf(bytes), size: bytes.byteLength };
  await world.client.pushBlob(repository(), blob, () => bytes);
  return blob;
}

/** Changes bytes of a blob where the registry keeps it. */
function corrupt(digest: Digest): void {
  const path = storedBlob(world, digest);
  const bytes = readFileSync(path);
  bytes[bytes.byteLength >> 1] = (bytes[bytes.byteLength >> 1] ?? 0) ^ 1;
  chmodSync(path, 0o644);
  writeFileSync(path, bytes);
}

const newDirectory = () => new BlobDirectory(join(temporaryDirectory(), "cache"));
const fetchInto = (blobs: { digest: Digest; size: number }[], into: BlobDirectory) =>
  fetchBlobs(blobs, into, { client: world.client, repository: repository() });

describe("fetching blobs", () => {
  test("puts each under its digest, read-only, and leaves nothing unfinished", async () => {
    const blobs = await Promise.all(["", "a", "b".repeat(3_000_000)].map(upload));
    const into = newDirectory();
    await fetchInto([...blobs, ...blobs], into);
    for (const { digest, size } of blobs) {
      expect(digestOf(readFileSync(into.path(digest)))).toBe(digest);
      expect(statSync(into.path(digest)).mode & 0o777).toBe(0o444);
      expect(statSync(into.path(digest)).size).toBe(size);
    }
    expect(readdirSync(into.partial)).toEqual([]);
  });

  test("doesn't ask for what is there", async () => {
    const blob = await upload("here already");
    const into = newDirectory();
    await fetchInto([blob], into);
    world.requests.length = 0;
    await fetchInto([blob], into);
    expect(world.requests).toEqual([]);
  });

  test("gives each to its receiver, one that was there too, and ends when that has", async () => {
    const blobs = await Promise.all(["there", "not there", "nor there"].map(upload));
    const into = newDirectory();
    await fetchInto(blobs.slice(0, 1), into);
    const received: string[] = [];
    const receive = async ({ digest }: { digest: Digest }) => {
      const content = readFileSync(into.path(digest), "utf8");
      await Bun.sleep(5);
      received.push(content);
    };
    const { client } = world;
    await fetchBlobs(blobs, into, { client, repository: repository(), receive });
    expect(received.sort()).toEqual(["nor there", "not there", "there"]);
  });

  test("fails when its receiver does, and ends what is under way", async () => {
    const blobs = await Promise.all(["x", "y".repeat(5_000_000)].map(upload));
    const { client } = world;
    const receive = async (_: unknown, signal: AbortSignal) => {
      signal.throwIfAborted();
      throw new Error("of no use");
    };
    const into = newDirectory();
    await expect(
      fetchBlobs(blobs, into, { client, repository: repository(), receive }),
    ).rejects.toThrow("of no use");
  });

  test("asks first whether there is room for what will be made of them", async () => {
    const blobs = [await upload("little")];
    world.requests.length = 0;
    const { client } = world;
    const fetching = fetchBlobs(blobs, newDirectory(), {
      client,
      repository: repository(),
      reserve: 2 ** 52,
    });
    expect((await failureOf(fetching, "disk")).message).toContain("not enough space");
    expect(world.requests).toEqual([]);
  });

  test("tells how far it is, and ends with all of it", async () => {
    const blobs = await Promise.all(["some bytes", "and some more"].map(upload));
    const events: TransferEvent[] = [];
    await fetchBlobs(blobs, newDirectory(), {
      client: world.client,
      repository: repository(),
      onEvent: (event) => event.type !== "progress" && events.push(event),
    });
    expect(events.map(({ type }) => type)).toEqual(["start", "verified", "verified", "done"]);
    expect(events[0]).toEqual({ type: "start", completed: 0, total: 23 });
    expect(events.at(-1)).toEqual({ type: "done", completed: 23, total: 23 });
  });

  test("refuses a blob whose bytes aren't those of its digest, and keeps none of it", async () => {
    const bad = await upload("these bytes will change");
    corrupt(bad.digest);
    const into = newDirectory();
    const { message } = await failureOf(fetchInto([bad], into), "content");
    expect(message).toContain(bad.digest);
    expect(treeIfThere(into.root)).toEqual({});
  });

  test("starts again when the connection breaks in the middle, and tells why", async () => {
    const content = "z".repeat(20_000);
    const blob = await upload(content);
    let breaks = 2;
    // Stands before the registry and drops connections in the middle of an answer.
    using flaky = Bun.listen({
      hostname: "127.0.0.1",
      port: 0,
      socket: {
        data(socket) {
          socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${content.length}\r\n\r\n`);
          socket.end(breaks-- > 0 ? content.slice(0, 10_000) : content);
        },
      },
    });
    const into = newDirectory();
    const retries: TransferEvent[] = [];
    await fetchBlobs([blob], into, {
      client: world.client,
      repository: parseReference(`127.0.0.1:${flaky.port}/transfers/one`),
      onEvent: (event) => event.type === "retry" && retries.push(event),
    });
    expect(readFileSync(into.path(blob.digest), "utf8")).toBe(content);
    expect(retries.length).toBeGreaterThan(0);
    expect(readdirSync(into.partial)).toEqual([]);
  });

  test("refuses a blob of another size than the manifest says", async () => {
    const blob = await upload("twelve bytes");
    for (const size of [11, 13]) {
      const into = newDirectory();
      await failureOf(fetchInto([{ ...blob, size }], into), "content");
      expect(treeIfThere(into.root)).toEqual({});
    }
  });

  test("refuses a blob that is empty and has another's digest", async () => {
    const blob = { digest: digestOf("something"), size: 0 };
    await failureOf(fetchInto([blob], newDirectory()), "content");
  });

  test("refuses a blob that ends early", async () => {
    const blob = await upload("x".repeat(100_000));
    chmodSync(storedBlob(world, blob.digest), 0o644);
    truncateSync(storedBlob(world, blob.digest), 50_000);
    const into = newDirectory();
    await failureOf(fetchInto([blob], into), "content");
    expect(treeIfThere(into.root)).toEqual({});
  });

  test("fails for a blob that isn't there", async () => {
    const into = newDirectory();
    await failureOf(fetchInto([{ digest: digestOf("nowhere"), size: 7 }], into), "not-found");
    expect(treeIfThere(into.root)).toEqual({});
  });

  test("fails before it begins when the disk has no room, and says how much is missing", async () => {
    const into = newDirectory();
    const size = 2 ** 52;
    const { message } = await failureOf(fetchInto([{ digest: digestOf("x"), size }], into), "disk");
    expect(message).toMatch(/needs 4 PiB, .* are free, .* \(\d+ bytes\) are missing/);
    expect(treeIfThere(into.root)).toEqual({});
  });

  test("ends when the signal aborts, and keeps nothing unfinished", async () => {
    const blob = await upload("y".repeat(5_000_000));
    const into = newDirectory();
    const controller = new AbortController();
    const fetching = fetchBlobs([blob], into, {
      client: world.client,
      repository: repository(),
      signal: controller.signal,
      onEvent: () => controller.abort(new Error("interrupted")),
    });
    await expect(fetching).rejects.toThrow("interrupted");
    expect(treeIfThere(into.root)).toEqual({});
  });
});
