import { beforeAll, describe, expect, test } from "bun:test";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { ClientOptions } from "../../src/registry/client.ts";
import { makeCertificate, tlsOf } from "../support/certificates.ts";
import { temporaryDirectory } from "../support/temp.ts";
import { describeWith } from "../support/tools.ts";
import { blobOf, failureOf, imageOf, manifestAnswer, newClient, startHost } from "./fixtures.ts";

describeWith("openssl", "TLS", () => {
  const image = imageOf(blobOf("{}").descriptor);
  let certificate = "";
  let tls = { cert: "", key: "" };
  let host = "";
  let secureHost = "";
  let requests: string[] = [];

  beforeAll(async () => {
    const made = await makeCertificate("DNS:registry.localhost", "IP:127.0.0.1");
    certificate = made.cert;
    tls = tlsOf(made);
    const secure = startHost(() => manifestAnswer(image), tls);
    // What sends a client from plain HTTP, which loopback hosts speak, to that host.
    const plain = startHost((_, url) =>
      Response.redirect(`https://${secure.host}${url.pathname}`, 307),
    );
    host = plain.host;
    secureHost = secure.host;
    requests = secure.requests;
  });

  const get = (options: ClientOptions = {}) => {
    const { client, events } = newClient({ plainHttp: [host], ...options });
    return { events, answer: client.getManifest({ registry: host, repository: "a", tag: "v1" }) };
  };

  test("refuses a certificate of an unknown authority at once, and says what to do", async () => {
    const { answer, events } = get();
    const failure = await failureOf(answer);
    expect(failure.kind).toBe("network");
    expect(failure.message).toContain("certificate isn't trusted");
    expect(failure.message).toContain("--ca FILE");
    expect(events).toEqual([]);
    expect(requests).toEqual([]);
  });

  test("is what a host may expect that closes a plain connection, which the message says", async () => {
    const { client } = newClient({ connectTimeout: 100 });
    const reference = { registry: secureHost, repository: "a", tag: "v1" };
    const failure = await failureOf(client.getManifest(reference));
    expect(failure.kind).toBe("network");
    expect(failure.message).toEndWith(
      "; if it speaks TLS, give --ca FILE or --insecure-skip-tls-verify",
    );
  });

  test("accepts it with its authority", async () => {
    expect((await get({ caFile: certificate }).answer).manifest.kind).toBe("image");
  });

  test("accepts it unseen where that was allowed, and nowhere else", async () => {
    expect((await get({ insecureSkipTlsVerify: true }).answer).manifest.kind).toBe("image");
    expect((await get({ insecureSkipTlsVerify: ["127.0.0.1"] }).answer).manifest.kind).toBe(
      "image",
    );
    const failure = await failureOf(get({ insecureSkipTlsVerify: ["other.example"] }).answer);
    expect(failure.message).toContain("certificate isn't trusted");
  });

  test("refuses a file of authorities that is absent or has none", async () => {
    const absent = await failureOf(get({ caFile: "/nowhere/ca.pem" }).answer);
    expect(absent.kind).toBe("usage");
    expect(absent.message).toContain('"/nowhere/ca.pem"');
    const empty = await failureOf(get({ caFile: import.meta.path }).answer);
    expect(empty.kind).toBe("usage");
  });

  test("says once for each host that its certificate isn't verified", async () => {
    const { answer, events } = get({ insecureSkipTlsVerify: true });
    await answer;
    expect(events).toEqual([
      { type: "warning", message: expect.stringContaining(`the certificate of ${secureHost}`) },
    ]);
  });

  test("says what is wrong with a certificate for another name", async () => {
    const made = await makeCertificate("DNS:other.example");
    const elsewhere = startHost(() => manifestAnswer(image), tlsOf(made));
    const { client } = newClient({ caFile: made.cert });
    const reference = { registry: elsewhere.host, repository: "a", tag: "v1" };
    const failure = await failureOf(client.getManifest(reference));
    expect(failure.message).toContain("its certificate is for another name");
  });

  describe("as a directory of hosts has it", () => {
    /** What reads from the TLS host by its own name. */
    const read = (files: Record<string, string>, options: ClientOptions = {}) => {
      const root = temporaryDirectory();
      mkdirSync(join(root, secureHost));
      for (const [name, text] of Object.entries(files)) {
        writeFileSync(join(root, secureHost, name), text);
      }
      const { client } = newClient({ hostsDirectories: [root], ...options });
      return client.getManifest({ registry: secureHost, repository: "a", tag: "v1" });
    };

    test("accepts it with the authority of hosts.toml, or of a .crt file", async () => {
      const pem = readFileSync(certificate, "utf8");
      const toml = `ca = ${JSON.stringify(certificate)}`;
      expect((await read({ "hosts.toml": toml })).manifest.kind).toBe("image");
      expect((await read({ "hosts.toml": 'ca = "my.pem"', "my.pem": pem })).bytes).toEqual(image);
      expect((await read({ "ca.crt": pem })).manifest.kind).toBe("image");
      const junk = "-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n";
      expect((await read({ "ca.crt": junk + pem })).manifest.kind).toBe("image");
    });

    test("accepts it unseen with skip_verify", async () => {
      expect((await read({ "hosts.toml": "skip_verify = true" })).manifest.kind).toBe("image");
    });

    test("names a file that can't be used", async () => {
      const absent = await failureOf(read({ "hosts.toml": 'ca = "absent.pem"' }));
      expect(absent.message).toMatch(/can't read the CA file ".*\/absent.pem": ENOENT/);
      expect((await failureOf(read({ "ca.crt": "junk" }))).message).toContain("no certificate");
    });
  });

  describe("with a certificate of our own", () => {
    let me = { cert: "", key: "" };
    let asking = "";
    const requestedBy: boolean[] = [];

    beforeAll(async () => {
      me = await makeCertificate("DNS:me");
      const server = Bun.serve({
        hostname: "127.0.0.1",
        port: 0,
        tls: { ...tls, ca: tlsOf(me).cert, requestCert: true, rejectUnauthorized: true },
        fetch() {
          requestedBy.push(true);
          return manifestAnswer(image);
        },
      });
      server.unref();
      asking = `127.0.0.1:${server.port}`;
    });

    const read = (options: ClientOptions) =>
      newClient({ caFile: certificate, ...options }).client.getManifest({
        registry: asking,
        repository: "a",
        tag: "v1",
      });

    test("shows it to the registry that it is for, and to no other", async () => {
      const shown = await read({ clientCertificate: { ...me, registry: asking } });
      expect(shown.manifest.kind).toBe("image");
      const hidden = await failureOf(
        read({ clientCertificate: { ...me, registry: "a.example" }, connectTimeout: 100 }),
      );
      expect(hidden.message).toContain("--cert");
      expect(requestedBy).toHaveLength(1);
    });

    test("shows that of the directory of hosts", async () => {
      const root = temporaryDirectory();
      mkdirSync(join(root, asking));
      writeFileSync(join(root, asking, "client.cert"), tlsOf(me).cert);
      writeFileSync(join(root, asking, "client.key"), tlsOf(me).key);
      expect((await read({ hostsDirectories: [root] })).manifest.kind).toBe("image");
      const both = join(root, asking, "both.pem");
      writeFileSync(both, tlsOf(me).cert + tlsOf(me).key);
      writeFileSync(join(root, asking, "hosts.toml"), 'client = "both.pem"');
      expect((await read({ hostsDirectories: [root] })).manifest.kind).toBe("image");
    });

    test("refuses a key that is another's, or none", async () => {
      const another = (await makeCertificate("DNS:me")).key;
      const options = (key: string) => ({ clientCertificate: { ...me, key, registry: asking } });
      const wrong = await failureOf(read(options(another)));
      expect(wrong.kind).toBe("usage");
      expect(wrong.message).toContain("isn't that of the certificate");
      expect((await failureOf(read(options(me.cert)))).message).toContain("no private key");
      expect((await failureOf(read(options("/nowhere/key")))).message).toContain("ENOENT");
    });
  });
});
