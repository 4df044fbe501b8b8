import { beforeAll, expect, test } from "bun:test";
import { join } from "node:path";
import type { ClientOptions } from "../../src/registry/client.ts";
import { runChecked } from "../support/programs.ts";
import { temporaryDirectory } from "../support/temp.ts";
import { describeWith } from "../support/tools.ts";
import { blobOf, failureOf, imageOf, manifestAnswer, newClient, startHost } from "./fixtures.ts";

describeWith("openssl", "TLS", () => {
  const image = imageOf(blobOf("{}").descriptor);
  const certificate = join(temporaryDirectory(), "certificate.pem");
  let host = "";
  let secureHost = "";
  let requests: string[] = [];

  beforeAll(async () => {
    const key = join(temporaryDirectory(), "key.pem");
    await runChecked([
      ...["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"],
      ...["-nodes", "-keyout", key, "-out", certificate, "-days", "2"],
      ...["-subj", "/CN=test", "-addext", "subjectAltName=DNS:registry.localhost,IP:127.0.0.1"],
    ]);
    const tls = { cert: await Bun.file(certificate).text(), key: await Bun.file(key).text() };
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
});
