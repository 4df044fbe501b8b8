import { describe, expect, test } from "bun:test";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { digestOf } from "../../src/oci/digest.ts";
import type { ClientOptions } from "../../src/registry/options.ts";
import { temporaryDirectory } from "../support/temp.ts";
import {
  blobOf,
  errorAnswer,
  failureOf,
  imageOf,
  manifestAnswer,
  newClient,
  startHost,
  startRawHost,
  type TestHost,
} from "./fixtures.ts";

const content = blobOf("0123456789".repeat(10_000));
const image = imageOf(content.descriptor);
const other = imageOf(content.descriptor, { annotations: { other: "yes" } });

/** A host that has the image under every name and tag, and its blob, with ranges. */
function holder(): TestHost {
  return startHost((request, { pathname }) => {
    if (pathname.includes("/manifests/")) return manifestAnswer(image);
    return blobAnswer(request, content.bytes);
  });
}

function blobAnswer(request: Request, bytes: Uint8Array<ArrayBuffer>): Response {
  const [, start, end] = /bytes=(\d+)-(\d+)/.exec(request.headers.get("range") ?? "") ?? [];
  if (start === undefined) return new Response(bytes);
  return new Response(bytes.slice(Number(start), Number(end) + 1), {
    status: 206,
    headers: { "content-range": `bytes ${start}-${end}/${bytes.byteLength}` },
  });
}

/** A client that knows mirrors of `registry`, which resolve tags where the name begins with `+`. */
function clientOf(registry: string, mirrors: readonly string[], options: ClientOptions = {}) {
  const root = temporaryDirectory();
  mkdirSync(join(root, registry));
  const tables = mirrors.map(
    (mirror) =>
      `[host."http://${mirror.replace("+", "")}"]\ncapabilities = ["pull"${mirror.startsWith("+") ? ', "resolve"' : ""}]\n`,
  );
  writeFileSync(join(root, registry, "hosts.toml"), tables.join(""));
  const { client, events } = newClient({ hostsDirectories: [root], ...options });
  const warnings = () => events.flatMap((event) => (event.type === "warning" ? [event] : []));
  return { client, events, warnings };
}

const tagged = (registry: string) => ({ registry, repository: "a/b", tag: "v1" });
const exact = (registry: string) => ({ ...tagged(registry), digest: digestOf(image) });
const blobAt = async (client: ReturnType<typeof clientOf>["client"], registry: string) =>
  new Uint8Array(
    await new Response(await client.openBlob(tagged(registry), content.descriptor)).arrayBuffer(),
  );

/** A name on which nothing listens. */
async function closedHost(): Promise<string> {
  const server = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data() {} } });
  const { port } = server;
  server.stop(true);
  return `127.0.0.1:${port}`;
}

describe("a tag", () => {
  test("is resolved at the first host that is trusted with it", async () => {
    const [registry, untrusted, trusted] = [holder(), holder(), holder()];
    const { client } = clientOf(registry.host, [untrusted.host, `+${trusted.host}`]);
    await client.getManifest(tagged(registry.host));
    await client.resolve(tagged(registry.host));
    expect(untrusted.requests).toEqual([]);
    expect(registry.requests).toEqual([]);
    expect(trusted.requests).toEqual([
      `GET /v2/a/b/manifests/v1?ns=${encodeURIComponent(registry.host)}`,
      `HEAD /v2/a/b/manifests/v1?ns=${encodeURIComponent(registry.host)}`,
    ]);
  });

  test("is resolved at the registry where no mirror is trusted, or on request", async () => {
    const [registry, mirror] = [holder(), holder()];
    await clientOf(registry.host, [mirror.host]).client.getManifest(tagged(registry.host));
    const { client } = clientOf(registry.host, [`+${mirror.host}`]);
    await client.resolve(tagged(registry.host), undefined, "registry");
    await client.getManifest(exact(registry.host), undefined, "registry");
    expect(mirror.requests).toEqual([]);
    expect(registry.requests).toHaveLength(3);
  });
});

describe("content", () => {
  test("comes from the mirrors in their order, and isn't asked for anywhere else", async () => {
    const [registry, first, second] = [holder(), holder(), holder()];
    const { client, events } = clientOf(registry.host, [first.host, second.host]);
    await client.getManifest(exact(registry.host));
    expect(await blobAt(client, registry.host)).toEqual(content.bytes);
    expect(first.requests).toHaveLength(2);
    expect([...second.requests, ...registry.requests]).toEqual([]);
    expect(events).toEqual([]);
  });

  test.each([
    ["404", () => errorAnswer(404, "BLOB_UNKNOWN"), 0],
    ["401", () => errorAnswer(401, "UNAUTHORIZED", { "www-authenticate": "Basic" }), 1],
    ["403", () => errorAnswer(403, "DENIED"), 1],
    ["429", () => errorAnswer(429, "TOOMANYREQUESTS"), 1],
    ["500", () => errorAnswer(500, "UNKNOWN"), 1],
    ["503", () => new Response("busy", { status: 503 }), 1],
    ["a redirect that isn't followed", () => Response.redirect("file:///etc/passwd", 307), 1],
    ["an HTML page", () => new Response("<html></html>"), 1],
  ])("comes from the next host after %s, at once", async (_, answer, warned) => {
    const [registry, mirror] = [holder(), startHost(answer)];
    const { client, events, warnings } = clientOf(registry.host, [mirror.host]);
    expect((await client.getManifest(exact(registry.host))).bytes).toEqual(image);
    expect(await blobAt(client, registry.host)).toEqual(content.bytes);
    expect(warnings()).toHaveLength(warned);
    expect(events.filter(({ type }) => type === "retry")).toEqual([]);
    // Whoever refuses or fails isn't asked for the next thing.
    expect(mirror.requests.filter((request) => request.includes("/blobs/"))).toHaveLength(
      warned ? 0 : 1,
    );
  });

  test("comes from the next host when a mirror can't be reached, which is said once", async () => {
    const [registry, mirror] = [holder(), await closedHost()];
    const { client, warnings } = clientOf(registry.host, [`+${mirror}`]);
    await client.getManifest(tagged(registry.host));
    await client.getManifest(exact(registry.host));
    expect(warnings()).toEqual([
      {
        type: "warning",
        message: expect.stringMatching(
          /^the mirror http:\/\/127\.0\.0\.1:\d+ of 127\.0\.0\.1:\d+ isn't used for now: .*refused/,
        ),
      },
    ]);
  });

  test("isn't missing because mirrors lack it, nor there because they have it", async () => {
    const registry = startHost(() => errorAnswer(404, "MANIFEST_UNKNOWN"));
    const mirror = startHost(() => errorAnswer(404, "MANIFEST_UNKNOWN"));
    const { client } = clientOf(registry.host, [`+${mirror.host}`]);
    const failure = await failureOf(client.getManifest(tagged(registry.host)));
    expect(failure.kind).toBe("not-found");
    expect(failure.message).toContain(`${registry.host} answered 404`);
    expect(await client.statBlob(tagged(registry.host), content.descriptor.digest)).toBeUndefined();
  });

  test("isn't taken from a mirror that lies, which is named and not asked again", async () => {
    const registry = holder();
    const mirror = startHost(() => manifestAnswer(other));
    const { client, warnings } = clientOf(registry.host, [mirror.host]);
    for (let count = 0; count < 3; count++) {
      expect((await client.getManifest(exact(registry.host))).bytes).toEqual(image);
    }
    expect(mirror.requests).toHaveLength(1);
    expect(warnings()).toHaveLength(1);
    expect(warnings()[0]?.message).toMatch(
      new RegExp(`^the mirror http://${mirror.host} .*is dropped: .*${digestOf(other)}`),
    );
  });

  test("goes on at the next host where a mirror breaks off", async () => {
    const registry = holder();
    const mirror = await startRawHost((socket) => {
      socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${content.bytes.byteLength}\r\n\r\n`);
      socket.end(content.bytes.slice(0, 30_000));
    });
    const { client } = clientOf(registry.host, [mirror]);
    expect(await blobAt(client, registry.host)).toEqual(content.bytes);
    expect(registry.requests).toHaveLength(1);
  });

  test("goes on at the next host where a mirror sends too much or too little", async () => {
    for (const length of [10, content.bytes.byteLength + 1]) {
      const registry = holder();
      const mirror = await startRawHost((socket) => {
        socket.write("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n");
        socket.end(Buffer.alloc(length, content.bytes));
      });
      const { client, warnings } = clientOf(registry.host, [mirror]);
      expect(await blobAt(client, registry.host)).toEqual(content.bytes);
      expect(warnings()).toHaveLength(1);
    }
  });

  test("that a mirror falsified is an error once, and then comes from the registry", async () => {
    const registry = holder();
    const falsified = content.bytes.slice().fill(0x21, 500, 501);
    const mirror = startHost((request) => blobAnswer(request, falsified));
    const { client, warnings } = clientOf(registry.host, [mirror.host]);
    expect((await failureOf(blobAt(client, registry.host))).kind).toBe("content");
    expect(warnings()).toHaveLength(1);
    expect(await blobAt(client, registry.host)).toEqual(content.bytes);
    expect(mirror.requests).toHaveLength(1);
  });

  test("comes from the mirrors that were named for this run", async () => {
    const [registry, mirror] = [holder(), holder()];
    const mirrors = { [registry.host]: [`http://${mirror.host}`] };
    const { client } = newClient({ mirrors });
    await client.getManifest(tagged(registry.host));
    expect(await blobAt(client, registry.host)).toEqual(content.bytes);
    expect(registry.requests).toHaveLength(1);
    expect(mirror.requests).toHaveLength(1);
  });

  test("is never pushed to a mirror, nor looked for there before", async () => {
    const registry = startHost((request) =>
      request.method === "HEAD"
        ? errorAnswer(404, "BLOB_UNKNOWN")
        : new Response(null, {
            status: request.method === "POST" ? 202 : 201,
            headers: { location: "/v2/a/b/blobs/uploads/1" },
          }),
    );
    const mirror = holder();
    const { client } = clientOf(registry.host, [`+${mirror.host}`]);
    await client.pushBlob(tagged(registry.host), content.descriptor, () => content.bytes);
    await client.putManifest(
      tagged(registry.host),
      image,
      "application/vnd.oci.image.manifest.v1+json",
    );
    expect(mirror.requests).toEqual([]);
    expect(registry.requests.map((request) => request.split(" ")[0])).toEqual([
      "HEAD",
      "POST",
      "PUT",
      "PUT",
    ]);
  });
});

describe("credentials", () => {
  test("of the registry never go to a mirror, which has its own by its host", async () => {
    const challenge = { "www-authenticate": 'Basic realm="x"' };
    const guarded = () =>
      startHost((request) =>
        request.headers.has("authorization")
          ? manifestAnswer(image)
          : errorAnswer(401, "UNAUTHORIZED", challenge),
      );
    const [registry, stranger, known] = [guarded(), guarded(), guarded()];
    const auth = (text: string) => ({ auth: Buffer.from(text).toString("base64") });
    const env = {
      HOME: temporaryDirectory(),
      DOCKER_AUTH_CONFIG: JSON.stringify({ auths: { [known.host]: auth("mirror:own") } }),
    };
    const options = { env, username: "me", password: "secret", credentialRegistry: registry.host };
    const { client } = clientOf(registry.host, [stranger.host, known.host], options);
    await client.getManifest(exact(registry.host));
    await client.getManifest(tagged(registry.host));
    const basic = (text: string) => `Basic ${Buffer.from(text).toString("base64")}`;
    expect(stranger.authorizations).toEqual([null]);
    expect(known.authorizations).toEqual([null, basic("mirror:own")]);
    expect(registry.authorizations).toEqual([null, basic("me:secret")]);
  });

  test("and headers of a host stay with it when it redirects", async () => {
    const seen: (string | null)[] = [];
    const storage = startHost((request) => {
      seen.push(request.headers.get("x-team"));
      return blobAnswer(request, content.bytes);
    });
    const mirror = startHost((request, { pathname }) => {
      seen.push(request.headers.get("x-team"));
      return Response.redirect(`http://${storage.host}${pathname}`, 307);
    });
    const registry = holder();
    const root = temporaryDirectory();
    mkdirSync(join(root, "_default"));
    const toml = `[host."http://${mirror.host}".header]\nx-team = "models"`;
    writeFileSync(join(root, "_default", "hosts.toml"), toml);
    const { client } = newClient({ hostsDirectories: [root] });
    expect(await blobAt(client, registry.host)).toEqual(content.bytes);
    expect(seen).toEqual(["models", null]);
  });
});

describe("the sources of a repository's blobs", () => {
  test("are its mirrors and at last the registry, without those that failed", async () => {
    const [registry, first, second] = [holder(), startHost(() => errorAnswer(503, "X")), holder()];
    const { client, warnings } = clientOf(registry.host, [first.host, second.host]);
    const repository = tagged(registry.host);
    const origins = () => client.blobSources(repository).map(({ host }) => host.origin);
    const urlOf = ({ host }: TestHost) => `http://${host}`;
    expect(origins()).toEqual([first, second, registry].map(urlOf));
    expect(client.blobSources(repository).map(({ isOrigin }) => isOrigin)).toEqual([
      false,
      false,
      true,
    ]);

    const [source] = client.blobSources(repository);
    if (!source) throw new Error("there is no source");
    const range = { start: 0, end: 10 };
    const answer = await client.openPiece(source, repository, content.descriptor, range);
    expect(answer).toMatchObject({
      kind: "refused",
      attempts: Number.POSITIVE_INFINITY,
      answered: true,
    });
    if (answer.kind !== "refused") throw new Error("it isn't refused");
    client.noteFailure(source, repository, answer.failure);
    expect(origins()).toEqual([second, registry].map(urlOf));

    const [liar] = client.blobSources(repository);
    if (!liar) throw new Error("there is no source");
    const failure = await failureOf(
      client.getManifest({ ...repository, digest: digestOf(other) }, undefined, "registry"),
    );
    client.noteFailure(liar, repository, failure);
    expect(origins()).toEqual([urlOf(registry)]);
    expect(warnings()).toHaveLength(2);
    // There is nobody else left.
    const [last] = client.blobSources(repository);
    if (last) client.noteFailure(last, repository, failure);
    expect(origins()).toEqual([urlOf(registry)]);
  });

  test("that may not be followed are refused, not thrown", async () => {
    const registry = startHost(() => Response.redirect("file:///etc/passwd", 307));
    const { client } = newClient();
    const [source] = client.blobSources(tagged(registry.host));
    if (!source) throw new Error("there is no source");
    const range = { start: 0, end: 10 };
    const asked = client.openPiece(source, tagged(registry.host), content.descriptor, range);
    expect(await asked).toMatchObject({ kind: "refused", attempts: 1 });
  });
});
