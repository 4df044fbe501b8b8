import { describe, expect, test } from "bun:test";
import type { Socket } from "node:net";
import {
  blobOf,
  errorAnswer,
  failureOf,
  imageOf,
  manifestAnswer,
  newClient,
  startHost,
  startRawHost,
} from "./fixtures.ts";

const image = imageOf(blobOf("{}").descriptor);

function referenceAt(host: string) {
  return { registry: host, repository: "a/b", tag: "v1" };
}

describe("a request is repeated", () => {
  test.each([429, 500, 502, 503, 504])("after the answer %d", async (status) => {
    let count = 0;
    const { host } = startHost(() =>
      ++count === 1 ? new Response("<html>", { status }) : manifestAnswer(image),
    );
    const { client, events } = newClient();
    expect((await client.getManifest(referenceAt(host))).bytes.byteLength).toBe(image.byteLength);
    expect(events).toEqual([
      {
        type: "retry",
        host,
        attempt: 1,
        delay: expect.any(Number),
        reason: `it answered ${status}`,
      },
    ]);
  });

  test("not before the time that Retry-After asks for", async () => {
    let count = 0;
    const { host } = startHost(() =>
      ++count === 1
        ? errorAnswer(429, "TOOMANYREQUESTS", { "retry-after": "1" })
        : manifestAnswer(image),
    );
    const { client, events } = newClient();
    await client.getManifest(referenceAt(host));
    expect(events[0]).toMatchObject({ type: "retry", delay: 1000 });
  });

  test("after a connection that was closed, before its answer or in the midst of it", async () => {
    const content = Buffer.from(image);
    const head = `HTTP/1.1 200 OK\r\nContent-Type: application/vnd.oci.image.manifest.v1+json\r\nContent-Length: ${content.length}\r\n\r\n`;
    let count = 0;
    const host = await startRawHost((socket) => {
      count++;
      if (count === 1) socket.destroy();
      else if (count === 2) socket.end(head + content.toString().slice(0, 20));
      else socket.end(head + content.toString());
    });
    const { client, events } = newClient();
    expect((await client.getManifest(referenceAt(host))).manifest.kind).toBe("image");
    expect(events.map((event) => event.type === "retry" && event.reason)).toEqual([
      "the connection was closed unexpectedly",
      "the connection was closed unexpectedly",
    ]);
  });

  test("until a host that wasn't there yet is there", async () => {
    const earlier = Bun.serve({ hostname: "127.0.0.1", port: 0, fetch: () => new Response() });
    const { port = 0 } = earlier;
    await earlier.stop(true);
    const { client, events } = newClient();
    const late = `127.0.0.1:${port}`;
    const resolving = client.getManifest(referenceAt(late));
    while (events.length === 0) await Bun.sleep(5);
    const server = Bun.serve({ hostname: "127.0.0.1", port, fetch: () => manifestAnswer(image) });
    expect((await resolving).manifest.kind).toBe("image");
    await server.stop(true);
  });
});

describe("a request isn't repeated", () => {
  test.each([
    [400, "usage"],
    [401, "unauthorized"],
    [403, "unauthorized"],
    [404, "not-found"],
    [405, "usage"],
    [501, "network"],
  ] as const)("after the answer %d, which is a failure of the kind %s", async (status, kind) => {
    const { host, requests } = startHost(() => errorAnswer(status, "SOME_CODE"));
    const failure = await failureOf(newClient().client.getManifest(referenceAt(host)));
    expect(failure.kind).toBe(kind);
    expect(failure.message).toContain(`${host} answered ${status} SOME_CODE: about SOME_CODE`);
    expect(requests.length).toBe(1);
  });

  test("when Retry-After asks for more patience than there is", async () => {
    const { host, requests } = startHost(() =>
      errorAnswer(429, "TOOMANYREQUESTS", { "retry-after": "9999" }),
    );
    const failure = await failureOf(newClient().client.getManifest(referenceAt(host)));
    expect(failure.kind).toBe("network");
    expect(failure.message).toContain("429 TOOMANYREQUESTS");
    expect(requests.length).toBe(1);
  });

  test("when what answers isn't HTTP", async () => {
    let count = 0;
    const host = await startRawHost((socket) => {
      count++;
      socket.end("220 mail.example ready\r\n");
    });
    const failure = await failureOf(newClient().client.getManifest(referenceAt(host)));
    expect(failure.kind).toBe("network");
    expect(failure.message).toContain("isn't HTTP");
    expect(count).toBe(1);
  });

  test("when the caller has left, whose reason it is then", async () => {
    const { host } = startHost(() => new Response(null, { status: 503 }));
    const { client, events } = newClient();
    const leaving = new AbortController();
    const resolving = client.getManifest(referenceAt(host), leaving.signal);
    while (events.length === 0) await Bun.sleep(5);
    leaving.abort(new Error("I leave"));
    expect(resolving).rejects.toThrow("I leave");
    await resolving.catch(() => {});
  });
});

describe("a host is given up", () => {
  test("after the connect timeout when it never answered", async () => {
    const { client, events } = newClient({ connectTimeout: 800, stallTimeout: 600_000 });
    const failure = await failureOf(client.resolve(referenceAt("127.0.0.1:1")));
    expect(failure.kind).toBe("network");
    expect(failure.message).toContain("127.0.0.1:1: the connection was refused");
    expect(events.length).toBeGreaterThan(0);
  });

  test("after the connect timeout when it takes connections and says nothing", async () => {
    const sockets: Socket[] = [];
    const host = await startRawHost((socket) => sockets.push(socket));
    const { client } = newClient({ connectTimeout: 200 });
    const failure = await failureOf(client.resolve(referenceAt(host)));
    expect(failure.kind).toBe("network");
    expect(failure.message).toContain("nothing moved");
  });

  test("after the stall timeout when it answers nothing of use", async () => {
    const { host, requests } = startHost(() => new Response("<html>busy</html>", { status: 503 }));
    const { client } = newClient({ stallTimeout: 1200 });
    const failure = await failureOf(client.getManifest(referenceAt(host)));
    expect(failure.kind).toBe("network");
    expect(failure.message).toEndWith(`${host} answered 503`);
    expect(requests.length).toBeGreaterThan(1);
  });

  test("after one attempt when no name of it can be looked up and there is no patience", async () => {
    const { client } = newClient({ connectTimeout: 0 });
    const failure = await failureOf(client.resolve(referenceAt("registry.invalid")));
    expect(failure.kind).toBe("network");
    expect(failure.message).toContain("registry.invalid");
  });
});
