/** A transfer over TLS: whatever lets the client in lets its bare sockets in, and nothing else does. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { connect, createServer } from "node:net";
import { digestOf } from "../../src/oci/digest.ts";
import { BlobDirectory } from "../../src/pull/blobs.ts";
import { fetchBlobs } from "../../src/pull/transfer.ts";
import { RegistryClient } from "../../src/registry/client.ts";
import type { ClientOptions } from "../../src/registry/options.ts";
import { makeCertificate, type TestCertificate, tlsOf } from "../support/certificates.ts";
import { temporaryDirectory } from "../support/temp.ts";
import { describeWith } from "../support/tools.ts";

/** Four parts. */
const content = new Uint8Array(32 * 2 ** 20).map((_, index) => index ^ (index >> 8));
const blob = { digest: digestOf(content), size: content.byteLength };

interface Host {
  readonly name: string;
  /** How often fetch has asked, and how often a bare socket. */
  readonly asked: { fetch: number; bare: number };
}

const stops: (() => void)[] = [];
afterAll(() => {
  for (const stop of stops) stop();
});

/** A registry with one blob, or what sends on to it. */
function startHost(tls?: Bun.TLSOptions, location?: string): Host {
  const asked = { fetch: 0, bare: 0 };
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    ...(tls && { tls }),
    fetch(request) {
      // Nobody asks a bare socket to send it.
      asked[request.headers.has("accept") ? "fetch" : "bare"]++;
      if (location) return Response.redirect(location, 307);
      const [, first, last] = /^bytes=(\d+)-(\d+)$/.exec(request.headers.get("range") ?? "") ?? [];
      return new Response(content.subarray(Number(first), Number(last) + 1), {
        status: 206,
        headers: { "content-range": `bytes ${first}-${last}/${blob.size}`, etag: '"one"' },
      });
    },
  });
  stops.push(() => void server.stop(true));
  return { name: `127.0.0.1:${server.port}`, asked };
}

async function fetchFrom({ name }: Host, options: ClientOptions): Promise<void> {
  const client = new RegistryClient({ env: {}, ...options });
  const into = new BlobDirectory(temporaryDirectory());
  await fetchBlobs([blob], into, { client, repository: { registry: name, repository: "a" } });
  expect(digestOf(readFileSync(into.path(blob.digest)))).toBe(blob.digest);
}

describeWith("openssl", "a transfer over TLS", () => {
  let made: TestCertificate;
  let other: TestCertificate;
  beforeAll(async () => {
    made = await makeCertificate("IP:127.0.0.1");
    other = await makeCertificate("DNS:other.example");
  });

  test("goes over bare sockets with --ca", async () => {
    const host = startHost(tlsOf(made));
    await fetchFrom(host, { caFile: made.cert });
    expect(host.asked.bare).toBeGreaterThan(0);
  });

  test("goes over them with --insecure-skip-tls-verify, whatever the certificate says", async () => {
    const host = startHost(tlsOf(other));
    await fetchFrom(host, { insecureSkipTlsVerify: [host.name] });
    expect(host.asked.bare).toBeGreaterThan(0);
  });

  test("goes over them with our certificate", async () => {
    const me = await makeCertificate("DNS:me");
    const asking = { requestCert: true, rejectUnauthorized: true, ca: tlsOf(me).cert };
    const host = startHost({ ...tlsOf(made), ...asking });
    const clientCertificate = { ...me, registry: host.name };
    await fetchFrom(host, { caFile: made.cert, clientCertificate });
    expect(host.asked.bare).toBeGreaterThan(0);
  });

  test("goes over them to where a redirect leads, and asks there directly", async () => {
    const storage = startHost(tlsOf(made));
    const host = startHost(undefined, `https://${storage.name}/stored?signature=a%2Bb`);
    await fetchFrom(host, { plainHttp: [host.name], caFile: made.cert });
    expect(storage.asked.bare).toBeGreaterThan(0);
    expect(host.asked.bare).toBe(0);
  });

  test.each<[string, (host: Host) => ClientOptions]>([
    ["an unknown authority", () => ({ caFile: other.cert })],
    ["another name", () => ({ caFile: other.cert })],
    [
      "a host that another's exemption is for",
      () => ({ insecureSkipTlsVerify: ["other.example"] }),
    ],
  ])("asks nothing of a host with the certificate of %s", async (which, options) => {
    const host = startHost(tlsOf(which === "another name" ? other : made));
    const fetched = fetchFrom(host, { plainHttp: [], caFile: other.cert, ...options(host) });
    await expect(fetched).rejects.toMatchObject({ kind: "network" });
    expect(host.asked).toEqual({ fetch: 0, bare: 0 });
  });

  test("says nothing to who steps in between in the middle of it", async () => {
    const honest = startHost(tlsOf(made));
    const between = startHost(tlsOf(other));
    // The client's own connection leads to the host, and what is opened beside it elsewhere.
    const line = startLine((number) => (number === 1 ? honest : between));
    await fetchFrom(line, { caFile: made.cert });
    expect(honest.asked.bare).toBe(0);
    expect(between.asked).toEqual({ fetch: 0, bare: 0 });
  });
});

/** Leads each connection, counted from 1, to the host that `choose` says. */
function startLine(choose: (number: number) => Host): Host {
  let number = 0;
  const server = createServer((socket) => {
    const port = Number(choose(++number).name.split(":")[1]);
    const to = connect(port, "127.0.0.1");
    for (const [from, into] of [
      [socket, to],
      [to, socket],
    ] as const) {
      from.on("error", () => into.destroy());
      from.pipe(into);
    }
  });
  server.listen(0, "127.0.0.1");
  stops.push(() => void server.close());
  const address = server.address();
  if (typeof address !== "object" || !address) throw new Error("no address");
  return { name: `127.0.0.1:${address.port}`, asked: { fetch: 0, bare: 0 } };
}
