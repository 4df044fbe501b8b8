import { describe, expect, test } from "bun:test";
import { digestOf } from "../../src/oci/digest.ts";
import {
  blobOf,
  bytesOf,
  failureOf,
  imageOf,
  MANIFEST_TYPE,
  manifestAnswer,
  newClient,
  startHost,
  startRawHost,
} from "./fixtures.ts";

const { bytes, descriptor } = blobOf("0123456789".repeat(1000));
const image = imageOf(descriptor);

function endless(): { response: Response; sent: () => number } {
  const chunk = new Uint8Array(256 * 1024).fill(0x7b);
  let sent = 0;
  const body = new ReadableStream({
    pull(controller) {
      sent += chunk.byteLength;
      controller.enqueue(chunk);
    },
  });
  const response = new Response(body, { headers: { "content-type": MANIFEST_TYPE } });
  return { response, sent: () => sent };
}

test("an authorization that a registry repeats isn't shown", async () => {
  const secret = "correct horse battery staple";
  const token = "very-secret.token_of~ours+/==";
  const repeat = (request: Request) => {
    const message = `bearer authorization fails: no access with ${request.headers.get("authorization")}`;
    const body = JSON.stringify({ errors: [{ code: "DENIED", message }] });
    return new Response(body, { status: 403, headers: { warning: `299 - "${message}"` } });
  };
  const challenged = (challenge: string) =>
    startHost((request, url) => {
      if (url.pathname === "/token") return Response.json({ token });
      if (request.headers.has("authorization")) return repeat(request);
      const header = challenge.replace("HOST", url.host);
      return new Response("", { status: 401, headers: { "www-authenticate": header } });
    });
  for (const challenge of ['Basic realm="x"', 'Bearer realm="http://HOST/token"']) {
    const { host, authorizations } = challenged(challenge);
    const { client, events } = newClient({
      username: "me",
      password: secret,
      credentialRegistry: host,
    });
    const failure = await failureOf(client.getManifest({ registry: host, repository: "a" }));
    const said = JSON.stringify([failure.message, events]);
    expect(said).toContain("bearer authorization fails: no access with");
    for (const part of [
      ...authorizations.flatMap((header) => header?.split(" ")[1] ?? []),
      secret,
    ]) {
      expect(said).not.toContain(part);
    }
  }
});

describe("a manifest is refused", () => {
  const get = (host: string, more: Record<string, unknown> = {}) =>
    failureOf(newClient().client.getManifest({ registry: host, repository: "a", ...more }));

  test("when it never ends, and is no longer read then", async () => {
    const { response, sent } = endless();
    const failure = await get(startHost(() => response).host);
    expect(failure.kind).toBe("content");
    expect(failure.message).toContain("more than the 4194304 bytes");
    expect(sent()).toBeLessThan(32 * 1024 * 1024);
  });

  test("when it drips for ever", async () => {
    const { host } = startHost(() => new Response(dripping()));
    const { client } = newClient({ stallTimeout: 200, connectTimeout: 200 });
    const failure = await failureOf(
      client.getManifest({ registry: host, repository: "a", tag: "v1" }),
    );
    expect(failure.kind).toBe("network");
    expect(failure.message).toContain("too slowly");
  });

  test("when it announces more than a manifest may have", async () => {
    const { host } = startHost(() => new Response(new Uint8Array(4 * 1024 * 1024 + 1)));
    expect((await get(host)).kind).toBe("content");
  });

  test("when it isn't what its digest says", async () => {
    const { host } = startHost(() => manifestAnswer(image));
    const failure = await get(host, { digest: digestOf("another") });
    expect(failure.kind).toBe("content");
    expect(failure.message).toContain(digestOf(image));
  });

  test("when it isn't what the registry says that it is", async () => {
    const { host } = startHost(() => {
      const headers = { "content-type": MANIFEST_TYPE, "docker-content-digest": digestOf("x") };
      return new Response(image, { headers });
    });
    expect((await get(host, { tag: "v1" })).kind).toBe("content");
  });

  test.each([
    ["HTML", "<html>sign in to the wifi</html>"],
    ["a list", "[]"],
    [
      "two things",
      JSON.stringify({ schemaVersion: 2, config: descriptor, layers: [], manifests: [] }),
    ],
    ["compressed", Bun.gzipSync(image)],
  ])("when it is %s", async (_, body) => {
    const { host } = startHost(
      () => new Response(body, { headers: { "content-type": MANIFEST_TYPE } }),
    );
    expect((await get(host, { tag: "v1" })).kind).toBe("content");
  });
});

describe("a manifest's descriptor", () => {
  const resolve = (host: string, more: Record<string, unknown> = { tag: "v1" }) =>
    newClient().client.resolve({ registry: host, repository: "a", ...more });
  const expected = { mediaType: MANIFEST_TYPE, digest: digestOf(image), size: image.byteLength };

  test("is taken from HEAD alone when that says enough", async () => {
    const { host, requests } = startHost(() => manifestAnswer(image));
    expect(await resolve(host)).toEqual(expected);
    expect(requests).toEqual(["HEAD /v2/a/manifests/v1"]);
  });

  test.each([
    ["has no digest", { "content-type": MANIFEST_TYPE }],
    [
      "has a digest that is none",
      { "docker-content-digest": "sha256:x", "content-type": MANIFEST_TYPE },
    ],
    ["has no media type", { "docker-content-digest": digestOf(image) }],
  ])("is taken from GET when HEAD %s", async (_, headers) => {
    const { host } = startHost((request) =>
      request.method === "HEAD" ? new Response(image, { headers }) : manifestAnswer(image),
    );
    expect(await resolve(host)).toEqual(expected);
  });

  test("is taken from GET when the registry doesn't know HEAD", async () => {
    const { host } = startHost((request) =>
      request.method === "HEAD" ? new Response(null, { status: 405 }) : manifestAnswer(image),
    );
    expect(await resolve(host)).toEqual(expected);
  });

  test("isn't taken from an answer about another digest", async () => {
    const { host } = startHost(() => manifestAnswer(image));
    expect((await failureOf(resolve(host, { digest: digestOf("another") }))).kind).toBe("content");
  });
});

describe("a blob", () => {
  const open = (host: string, part = {}) =>
    newClient().client.openBlob({ registry: host, repository: "a" }, descriptor, part);
  const read = async (host: string, part = {}) => new Response(await open(host, part)).bytes();
  const chunked = (...chunks: Uint8Array<ArrayBuffer>[]) =>
    new Response(
      new ReadableStream({
        async start(controller) {
          for (const chunk of chunks) {
            controller.enqueue(chunk);
            await Bun.sleep(1);
          }
          controller.close();
        },
      }),
    );

  test("with other content errors before its end", async () => {
    const { host } = startHost(() => new Response(new Uint8Array(bytes.byteLength)));
    const received: number[] = [];
    const reading = (async () => {
      for await (const chunk of await open(host)) received.push(chunk.byteLength);
    })();
    const failure = await failureOf(reading);
    expect(failure.kind).toBe("content");
    expect(failure.message).toContain(descriptor.digest);
    expect(received.reduce((sum, length) => sum + length, 0)).toBe(descriptor.size);
  });

  test("with too few or too many bytes errors, also where no length was announced", async () => {
    const short = startHost(() => chunked(bytes.slice(0, 5000)));
    expect((await failureOf(read(short.host))).message).toContain("5000 bytes, not 10000");
    const long = startHost(() => chunked(bytes, bytesOf("!")));
    expect((await failureOf(read(long.host))).message).toContain("more than its 10000 bytes");
  });

  test("never passes on more bytes than it should have", async () => {
    const { response, sent } = endless();
    const { host } = startHost(() => response);
    let received = 0;
    const reading = (async () => {
      for await (const chunk of await open(host)) received += chunk.byteLength;
    })();
    expect((await failureOf(reading)).kind).toBe("content");
    expect(received).toBeLessThanOrEqual(descriptor.size);
    expect(sent()).toBeLessThan(32 * 1024 * 1024);
  });

  test("of a wrong announced length isn't read at all", async () => {
    const { host } = startHost(() => new Response(bytes.slice(0, 100)));
    const failure = await failureOf(open(host));
    expect(failure.kind).toBe("content");
    expect(failure.message).toContain("has 100 bytes, not 10000");
  });

  test("that breaks off errors as a matter of the network", async () => {
    const host = await startRawHost((socket) => {
      socket.end("HTTP/1.1 200 OK\r\nContent-Length: 10000\r\n\r\n0123456789");
    });
    const failure = await failureOf(read(host));
    expect(failure.kind).toBe("network");
    expect(failure.message).toContain("closed unexpectedly");
  });

  test("that stops moving errors as a matter of the network", async () => {
    const host = await startRawHost((socket) => {
      socket.write("HTTP/1.1 200 OK\r\nContent-Length: 10000\r\n\r\n0123456789");
    });
    const { client } = newClient({ stallTimeout: 100 });
    const stream = await client.openBlob({ registry: host, repository: "a" }, descriptor);
    const failure = await failureOf(new Response(stream).bytes());
    expect(failure.kind).toBe("network");
    expect(failure.message).toContain("nothing moved");
  });

  test("isn't given up because its reader takes its time", async () => {
    const { host } = startHost(() => new Response(bytes));
    const { client } = newClient({ stallTimeout: 50 });
    const reader = (
      await client.openBlob({ registry: host, repository: "a" }, descriptor)
    ).getReader();
    await Bun.sleep(150);
    expect((await reader.read()).done).toBe(false);
    await Bun.sleep(150);
    while (!(await reader.read()).done) {}
  });

  test("is left with its reader's reason, and its connection with it", async () => {
    const { promise: closed, resolve } = Promise.withResolvers<void>();
    const leaving = new AbortController();
    const host = await startRawHost((socket) => {
      socket.on("close", () => resolve());
      socket.write("HTTP/1.1 200 OK\r\nContent-Length: 10000\r\n\r\n0123456789");
      setTimeout(() => leaving.abort(new Error("I leave")), 10);
    });
    expect(read(host, { signal: leaving.signal })).rejects.toThrow("I leave");
    await closed;
  });

  test("that nobody reads on lets its connection go", async () => {
    const { promise: closed, resolve } = Promise.withResolvers<void>();
    const host = await startRawHost((socket) => {
      socket.on("close", () => resolve());
      socket.write("HTTP/1.1 200 OK\r\nContent-Length: 10000\r\n\r\n0123456789");
    });
    const reader = (await open(host)).getReader();
    await reader.read();
    await reader.cancel();
    await closed;
  });

  test("is cut here when the host sends all of it for a part", async () => {
    const { host } = startHost(() => new Response(bytes));
    expect(await read(host, { offset: 4321, end: 4330 })).toEqual(bytes.slice(4321, 4330));
  });

  test("isn't read up to a part of it where only parts are wanted", async () => {
    const { host } = startHost(() => new Response(bytes));
    const part = { offset: 4321, end: 4330, onlyRange: true };
    const failure = await failureOf(open(host, part));
    expect(failure.kind).toBe("usage");
    expect(failure.message).toContain("sends no parts of blobs");
    expect(await read(host, { ...part, offset: 0 })).toEqual(bytes.slice(0, 4330));
  });

  test.each([["bytes 1-3/10000"], ["bytes 2-4/9999"], ["bytes 2-5/10000"], ["2-4"], [""]])(
    "isn't taken from an answer with the Content-Range %p for 2-4",
    async (range) => {
      const { host } = startHost(() => {
        const headers = { "content-range": range };
        return new Response(bytes.slice(2, 5), { status: 206, headers });
      });
      expect((await failureOf(open(host, { offset: 2, end: 5 }))).kind).toBe("content");
    },
  );

  test("isn't a part when all of it was asked for", async () => {
    const { host } = startHost(() => new Response(bytes, { status: 206 }));
    expect((await failureOf(open(host))).kind).toBe("content");
  });

  test("without a length where only that was asked for is a failure", async () => {
    const host = await startRawHost((socket) => socket.end("HTTP/1.1 200 OK\r\n\r\n"));
    const repository = { registry: host, repository: "a" };
    const failure = await failureOf(newClient().client.statBlob(repository, descriptor.digest));
    expect(failure.kind).toBe("content");
  });
});

describe("a list", () => {
  // Each level takes a hundred bytes of memory for each of its own.
  test("that is nested deeper than any isn't read", async () => {
    const deep = "[".repeat(200) + "]".repeat(200);
    const { host } = startHost(() => new Response(`{"tags":["v1"],"deep":${deep}}`));
    const tags = newClient().client.listTags({ registry: host, repository: "a" });
    expect((await failureOf(Array.fromAsync(tags))).kind).toBe("content");
  });
});

describe("what a registry says in an error", () => {
  const get = (host: string) =>
    failureOf(newClient().client.getManifest({ registry: host, repository: "a", tag: "v1" }));

  test("comes on one short line and without terminal controls", async () => {
    const message = `red \u001b[31m text\nsecond line\u202e ${"x".repeat(5000)}`;
    const errors = [{ code: "EVIL\u0007", message }];
    const { host } = startHost(() => Response.json({ errors }, { status: 404 }));
    const failure = await get(host);
    expect(failure.message).toContain("second line");
    expect(failure.message).not.toMatch(/[\u0000-\u001f\u007f-\u009f\u202e]/);
    expect(failure.message.length).toBeLessThan(500);
  });

  test("isn't shown when it is a page", async () => {
    const html = "<html><body>Bad Gateway</body></html>";
    const { host } = startHost(() => new Response(html, { status: 404 }));
    expect((await get(host)).message).not.toContain("html");
  });

  test("isn't waited for when it drips for ever", async () => {
    const { host } = startHost(() => new Response(dripping(), { status: 404 }));
    expect((await get(host)).kind).toBe("not-found");
  });

  test("is read no further than 64 KiB", async () => {
    const { response, sent } = endless();
    const { host } = startHost(() => new Response(response.body, { status: 404 }));
    expect((await get(host)).kind).toBe("not-found");
    expect(sent()).toBeLessThan(16 * 1024 * 1024);
  });
});

describe("an answer that is of no interest", () => {
  test("is left when it drips for ever", async () => {
    const { promise: closed, resolve } = Promise.withResolvers<void>();
    const host = await startRawHost((socket, head) => {
      if (head.includes("/redirected")) {
        socket.end("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n");
        return;
      }
      socket.write("HTTP/1.1 307 x\r\nLocation: /redirected\r\nContent-Length: 1000\r\n\r\n");
      const drip = setInterval(() => socket.write("."), 20);
      socket.on("close", () => {
        clearInterval(drip);
        resolve();
      });
    });
    const reference = { registry: host, repository: "a", tag: "v1" };
    expect((await failureOf(newClient().client.getManifest(reference))).kind).toBe("not-found");
    await closed;
  });
});

describe("warnings", () => {
  test("are passed on once each, on one line", async () => {
    const { host } = startHost(() => {
      const answer = manifestAnswer(image);
      answer.headers.append("warning", '299 - "old \\"tag\\""');
      answer.headers.append("warning", '299 - "second"');
      return answer;
    });
    const { client, events } = newClient();
    await client.resolve({ registry: host, repository: "a", tag: "v1" });
    await client.resolve({ registry: host, repository: "a", tag: "v1" });
    expect(events).toEqual([
      { type: "warning", host, message: 'old "tag"' },
      { type: "warning", host, message: "second" },
    ]);
  });
});

/** A byte now and then, and no end. */
function dripping(): ReadableStream<Uint8Array> {
  let timer: ReturnType<typeof setInterval>;
  return new ReadableStream({
    start(controller) {
      timer = setInterval(() => controller.enqueue(bytesOf(" ")), 20);
    },
    cancel: () => clearInterval(timer),
  });
}
