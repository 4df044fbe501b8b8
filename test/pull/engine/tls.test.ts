/** Parts over TLS: who is spoken to is as sure on a bare socket as it is with fetch. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { RangeConnection } from "../../../src/pull/engine/connection.ts";
import type { LaneProblem } from "../../../src/pull/engine/protocol.ts";
import { TlsSettings } from "../../../src/registry/tls.ts";
import { makeCertificate, type TestCertificate, tlsOf } from "../../support/certificates.ts";
import { describeWith } from "../../support/tools.ts";

const content = Buffer.from("0123456789");

interface Host {
  readonly url: string;
  /** The ranges that were asked for. */
  readonly asked: (string | null)[];
}

const stops: (() => void)[] = [];
afterAll(() => {
  for (const stop of stops) stop();
});

/** A host with ranges behind TLS. */
function startHost(tls: Bun.TLSOptions, hostname = "127.0.0.1"): Host {
  const asked: (string | null)[] = [];
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    tls,
    fetch(request) {
      const range = request.headers.get("range");
      asked.push(range);
      const [, first, last] = /^bytes=(\d+)-(\d+)$/.exec(range ?? "") ?? [];
      return new Response(content.subarray(Number(first), Number(last) + 1), {
        status: 206,
        headers: { "content-range": `bytes ${first}-${last}/${content.byteLength}` },
      });
    },
  });
  stops.push(() => void server.stop(true));
  return { url: `https://${hostname}:${server.port}/blob`, asked };
}

/** Bytes 2 to 6 of a host's, as text. */
async function ask(url: string, tls?: Bun.TLSOptions): Promise<string | LaneProblem> {
  const { promise, resolve } = Promise.withResolvers<string | LaneProblem>();
  const route = { url, headers: {}, tls };
  const connection = RangeConnection.open(route);
  let text = "";
  connection.request(
    { start: 2, end: 6, size: 10, stallTimeout: 1000, route },
    {
      data(chunk) {
        text += chunk.toString();
        return true;
      },
      end: (problem) => resolve(problem ?? text),
    },
  );
  const outcome = await promise;
  connection.close();
  return outcome;
}

describeWith("openssl", "a connection for ranges over TLS", () => {
  let made: TestCertificate;
  let other: TestCertificate;
  let host: Host;
  beforeAll(async () => {
    made = await makeCertificate("DNS:localhost", "IP:127.0.0.1");
    other = await makeCertificate("DNS:other.example", "IP:127.0.0.2");
    host = startHost(tlsOf(made));
  });
  const trusting = async (ca: TestCertificate, url = host.url) =>
    await new TlsSettings({ caFile: ca.cert }).of(new URL(url));

  test("brings bytes from a host whose authority is trusted", async () => {
    expect(await ask(host.url, await trusting(made))).toBe("2345");
    expect(await ask(host.url.replace("127.0.0.1", "localhost"), await trusting(made))).toBe(
      "2345",
    );
  });

  test.each(["none", "another"])("asks nothing of a host for which %s vouches", async (who) => {
    const asked = host.asked.length;
    const problem = await ask(host.url, who === "none" ? undefined : await trusting(other));
    expect(problem).toEqual({ reason: expect.stringContaining("SELF_SIGNED") });
    expect(host.asked).toHaveLength(asked);
  });

  test.each(["127.0.0.1", "localhost"])(
    "asks nothing of %s where the certificate is another's",
    async (name) => {
      const elsewhere = startHost(tlsOf(other), name);
      const problem = await ask(elsewhere.url, await trusting(other));
      expect(problem).toEqual({ reason: expect.stringContaining("ALTNAME") });
      expect(elsewhere.asked).toEqual([]);
    },
  );

  test("takes any certificate where that was allowed", async () => {
    const unverified = { insecureSkipTlsVerify: true };
    const tls = await new TlsSettings(unverified).of(new URL(host.url));
    expect(await ask(host.url, tls)).toBe("2345");
    const elsewhere = startHost(tlsOf(other));
    expect(await ask(elsewhere.url, tls)).toBe("2345");
  });

  describe("that wants a certificate of ours", () => {
    let me: TestCertificate;
    let strict: Host;
    beforeAll(async () => {
      me = await makeCertificate("DNS:me");
      const asking = { requestCert: true, rejectUnauthorized: true, ca: tlsOf(me).cert };
      strict = startHost({ ...tlsOf(made), ...asking });
    });
    const showing = async (shown: TestCertificate | undefined) => {
      const registry = new URL(strict.url).host;
      const options = {
        caFile: made.cert,
        ...(shown && { clientCertificate: { ...shown, registry } }),
      };
      const origin = new URL(strict.url).origin;
      return ask(
        strict.url,
        await new TlsSettings(options).of(new URL(strict.url), { registry, origin }),
      );
    };

    test("is shown it", async () => {
      expect(await showing(me)).toBe("2345");
    });

    test.each(["none", "another"])("gives nothing to who shows it %s", async (which) => {
      const asked = strict.asked.length;
      const outcome = await showing(which === "none" ? undefined : other);
      expect(outcome).toHaveProperty("reason");
      expect(strict.asked).toHaveLength(asked);
    });
  });

  test("says nothing to a host that doesn't speak TLS", async () => {
    let heard = "";
    const server = Bun.listen({
      hostname: "127.0.0.1",
      port: 0,
      socket: {
        data(socket, data) {
          heard += data.toString("latin1");
          socket.write("HTTP/1.1 400 Bad Request\r\n\r\n");
        },
      },
    });
    stops.push(() => server.stop(true));
    const outcome = await ask(`https://127.0.0.1:${server.port}/blob`, {
      rejectUnauthorized: false,
    });
    expect(outcome).toHaveProperty("reason");
    expect(heard).not.toContain("GET");
  });
});
