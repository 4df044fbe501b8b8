/** Proxies, certificates and names that are wrong, as a person meets them: the executable itself. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { createServer } from "node:tls";
import { makeCertificate, type TestCertificate, tlsOf } from "../support/certificates.ts";
import { type ForwardProxyOptions, startForwardProxy } from "../support/forward-proxy.ts";
import { makeModel } from "../support/model.ts";
import { runChecked } from "../support/programs.ts";
import { temporaryDirectory } from "../support/temp.ts";
import { ocireg, type Served, startServe } from "./ocireg.ts";

/** A name that no resolver knows: only a proxy leads there. */
const NAME = "registry.test";

let certificate: TestCertificate;
let secure: Served;
let plain: Served;

beforeAll(async () => {
  certificate = await makeCertificate(`DNS:${NAME}`, "IP:127.0.0.1", "IP:10.1.2.3");
  const { cert, key } = certificate;
  const quiet = ["--log-level", "error"];
  secure = await startServe(["--tls-cert", cert, "--tls-key", key, ...quiet]);
  plain = await startServe(quiet);
}, 60_000);
afterAll(() => Promise.all([secure.stop(), plain.stop()]));

const portOf = ({ url }: Served) => Number(new URL(url).port);

/** The variables of whoever runs the tests stay out of them. */
const noProxies = Object.fromEntries(
  ["HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY", "NO_PROXY"].flatMap((name) => [
    [name, undefined],
    [name.toLowerCase(), undefined],
  ]),
);
const noAuthorities = {
  SSL_CERT_FILE: undefined,
  SSL_CERT_DIR: undefined,
  NODE_EXTRA_CA_CERTS: undefined,
};

const list = (registry: string, env: Record<string, string | undefined> = {}, ...words: string[]) =>
  ocireg(["repos", "ls", registry, "--connect-timeout", "1s", ...words], {
    env: { ...noProxies, ...noAuthorities, ...env },
  });

/** What is said of a command that has to fail: one line, and before it those of the log. */
function lastLine(result: Awaited<ReturnType<typeof list>>, code: number): string {
  expect({ code: result.code, stderr: result.stderr }).toMatchObject({ code });
  expect(result.stdout).toBe("");
  expect(result.stderr).toMatch(/^(?:\d{4}-[^\n]+\n)*ocireg: [^\n]+\n$/);
  expect(result.stderr).not.toContain("secret");
  return result.stderr.split("\n").at(-2) ?? "";
}

describe("a proxy", () => {
  const trusting = () => ["--ca", certificate.cert];
  const secured = (options: Partial<ForwardProxyOptions> = {}) =>
    startForwardProxy({ port: portOf(secure), ...options });

  test.each(["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"])(
    "that %s names is the way to a registry",
    async (variable) => {
      using proxy = await secured();
      const { code } = await list(NAME, { [variable]: `http://${proxy.host}` }, ...trusting());
      expect({ code, requests: proxy.requests }).toEqual({
        code: 0,
        requests: [`CONNECT ${NAME}:443`],
      });
    },
  );

  test.each(["HTTP_PROXY", "http_proxy", "ALL_PROXY"])(
    "that %s names is the way to one that speaks plain HTTP",
    async (variable) => {
      using proxy = await startForwardProxy({ port: portOf(plain) });
      const { code } = await list(NAME, { [variable]: proxy.host }, "--plain-http");
      expect(code).toBe(0);
      expect(proxy.requests).toEqual([expect.stringContaining(`GET http://${NAME}/v2/_catalog`)]);
    },
  );

  test("gets the user and password in its URL, which nobody else sees", async () => {
    using proxy = await secured({ credentials: "me:secret@home" });
    const env = { HTTPS_PROXY: `http://me:secret%40home@${proxy.host}` };
    const { code, stderr } = await list(NAME, env, ...trusting(), "--log-level", "debug");
    expect({ code, hasSecret: stderr.includes("secret") }).toEqual({ code: 0, hasSecret: false });
    expect(stderr).not.toContain("home@");
  });

  test("that wants a user and password says so, and what to do", async () => {
    using proxy = await secured({ credentials: "me:right" });
    const without = await list(NAME, { HTTPS_PROXY: `http://${proxy.host}` }, ...trusting());
    expect(lastLine(without, 5)).toContain(
      `the proxy ${proxy.host} (HTTPS_PROXY) wants a user and a password`,
    );
    const env = { HTTPS_PROXY: `http://me:secret@${proxy.host}` };
    expect(lastLine(await list(NAME, env, ...trusting()), 5)).toContain("doesn't accept the user");
    // A second attempt would change nothing.
    expect(proxy.requests).toHaveLength(2);
    const viaHttp = { HTTP_PROXY: `http://me:secret@${proxy.host}` };
    expect(lastLine(await list(NAME, viaHttp, "--plain-http"), 5)).toContain("doesn't accept");
  });

  test.each([
    [403, "refuses to connect to it (403)"],
    [502, "can't reach it (502)"],
  ])("that answers %d is named", async (refuse, words) => {
    using proxy = await secured({ refuse });
    const result = await list(NAME, { HTTPS_PROXY: `http://${proxy.host}` }, ...trusting());
    expect(lastLine(result, 5)).toContain(
      `${NAME}: the proxy ${proxy.host} (HTTPS_PROXY) ${words}`,
    );
  });

  test("that isn't there is named, and not the registry blamed", async () => {
    const proxy = await secured();
    proxy[Symbol.dispose]();
    const env = { HTTPS_PROXY: `http://me:secret@${proxy.host}` };
    expect(lastLine(await list(NAME, env), 5)).toContain(
      `the proxy ${proxy.host} (HTTPS_PROXY) can't be reached: the connection was refused`,
    );
  });

  test("is named with a certificate that nobody vouches for: it may be the proxy's own", async () => {
    using proxy = await secured();
    const result = await list(NAME, { HTTPS_PROXY: `http://${proxy.host}` });
    expect(lastLine(result, 5)).toContain(`by way of the proxy ${proxy.host} (HTTPS_PROXY)`);
  });

  test("that can't be one is refused at once", async () => {
    const env = { HTTPS_PROXY: "socks5://me:secret@127.0.0.1:1080" };
    expect(lastLine(await list(NAME, env), 2)).toContain("HTTPS_PROXY names a proxy that speaks");
  });

  test("isn't used for this machine", async () => {
    using proxy = await secured();
    const env = { ALL_PROXY: `http://${proxy.host}` };
    expect((await list(plain.host, env)).code).toBe(0);
    expect((await list(secure.host, env, ...trusting())).code).toBe(0);
    expect(proxy.requests).toEqual([]);
  });

  test.each([
    ["*", NAME],
    [".test", NAME],
    [`other.example, ${NAME}`, NAME],
    ["10.0.0.0/8", "10.1.2.3"],
  ])("isn't used for what NO_PROXY=%s covers", async (list_, name) => {
    using proxy = await secured();
    const env = { HTTPS_PROXY: `http://${proxy.host}`, NO_PROXY: list_ };
    expect((await list(name, env)).code).toBe(5);
    expect(proxy.requests).toEqual([]);
  });

  test("is used for what NO_PROXY doesn't cover", async () => {
    using proxy = await secured();
    const env = {
      HTTPS_PROXY: `http://${proxy.host}`,
      no_proxy: "est,10.2.0.0/16,registry.test:1",
    };
    expect((await list(NAME, env, ...trusting())).code).toBe(0);
    expect((await list("10.1.2.3", env, ...trusting())).code).toBe(0);
    expect(proxy.requests).toHaveLength(2);
  });

  test("may be named for one host in its hosts.toml", async () => {
    using proxy = await secured();
    const root = temporaryDirectory();
    mkdirSync(join(root, NAME));
    writeFileSync(join(root, NAME, "hosts.toml"), `proxy = "http://${proxy.host}"\n`);
    const words = [...trusting(), "--hosts-dir", root];
    expect((await list(NAME, {}, ...words)).code).toBe(0);
    expect(proxy.requests).toHaveLength(1);
  });
});

describe("a certificate", () => {
  const tls = () => `${secure.host}`;
  const asTls = "--plain-http=false";

  /** A directory of hosts with one file for the TLS registry. */
  const hostsDirectory = (name: string, text: string) => {
    const root = temporaryDirectory();
    mkdirSync(join(root, tls()));
    writeFileSync(join(root, tls(), name), text);
    return root;
  };
  const https = () => hostsDirectory("hosts.toml", `server = "https://${tls()}"`);

  test("that nobody vouches for ends it at once, with advice", async () => {
    const result = await list(tls(), {}, asTls, "--hosts-dir", https());
    expect(lastLine(result, 5)).toMatch(/certificate isn't trusted .*--ca FILE/);
    expect(result.stderr).not.toContain("attempt");
  });

  test("is accepted with its authority: --ca, SSL_CERT_FILE, SSL_CERT_DIR, certs.d", async () => {
    const pem = readFileSync(certificate.cert, "utf8");
    const store = temporaryDirectory();
    writeFileSync(join(store, "ca.pem"), pem);
    await runChecked(["openssl", "rehash", store]);
    const other = (await makeCertificate("DNS:other")).cert;
    const hosts = ["--hosts-dir", https()];
    const results = await Promise.all([
      list(tls(), {}, "--ca", certificate.cert),
      list(tls(), { OCIREG_CA: certificate.cert }),
      list(tls(), { SSL_CERT_FILE: certificate.cert }, ...hosts),
      list(tls(), { SSL_CERT_DIR: store }, ...hosts),
      // One more authority doesn't make the others strangers.
      list(tls(), { SSL_CERT_FILE: certificate.cert }, ...hosts, "--ca", other),
      list(tls(), {}, "--hosts-dir", hostsDirectory("ca.crt", pem)),
      list(tls(), { OCIREG_HOSTS_DIR: hostsDirectory("ca.crt", pem) }),
    ]);
    expect(results.map(({ code, stderr }) => ({ code, stderr }))).toEqual(
      results.map(() => ({ code: 0, stderr: "" })),
    );
  });

  test("isn't looked at with --insecure-skip-tls-verify, which warns once", async () => {
    const { code, stderr } = await list(tls(), {}, "--insecure-skip-tls-verify");
    expect(code).toBe(0);
    expect(stderr.match(/isn't verified/g)).toHaveLength(1);
    expect(stderr).toContain(tls());
  });

  test("is shown to a registry that asks for one", async () => {
    const me = await makeCertificate("DNS:me");
    const asking = Bun.serve({
      hostname: "127.0.0.1",
      port: 0,
      tls: {
        ...tlsOf(certificate),
        ca: tlsOf(me).cert,
        requestCert: true,
        rejectUnauthorized: true,
      },
      fetch: () => Response.json({ repositories: ["a"] }),
    });
    const host = `127.0.0.1:${asking.port}`;
    const ca = ["--ca", certificate.cert];
    const shown = await list(host, {}, ...ca, "--cert", me.cert, "--key", me.key);
    expect(shown).toMatchObject({ code: 0, stdout: "a\n", stderr: "" });
    const env = { OCIREG_CERT: me.cert, OCIREG_KEY: me.key };
    expect((await list(host, env, ...ca)).code).toBe(0);
    expect(lastLine(await list(host, {}, ...ca), 5)).toContain("--cert and --key");
    expect(lastLine(await list(host, {}, ...ca, "--key", me.key), 2)).toContain("--cert");
    await asking.stop(true);
  });
});

describe("a registry that asks for a certificate", () => {
  test("is pushed to and pulled from, in parts too, with what its directory holds", async () => {
    const me = await makeCertificate("DNS:me");
    const asking = createServer(
      { ...tlsOf(certificate), ca: tlsOf(me).cert, requestCert: true, rejectUnauthorized: true },
      (client) => {
        const target = connect(portOf(plain), "127.0.0.1");
        for (const socket of [client, target]) socket.on("error", () => socket.destroy());
        client.pipe(target).pipe(client);
      },
    );
    await new Promise<void>((resolve) => asking.listen(0, "127.0.0.1", resolve));
    const address = asking.address();
    const host = `127.0.0.1:${typeof address === "object" ? address?.port : ""}`;
    const root = temporaryDirectory();
    mkdirSync(join(root, host));
    writeFileSync(join(root, host, "client.pem"), tlsOf(me).cert + tlsOf(me).key);
    const toml = `ca = ${JSON.stringify(certificate.cert)}\nclient = "client.pem"\n`;
    writeFileSync(join(root, host, "hosts.toml"), toml);

    const model = join(temporaryDirectory(), "model");
    const { files } = await makeModel(model, { bytesPerShard: 20 * 1024 * 1024 });
    const words = ["--hosts-dir", root, "--progress", "none"];
    const pushed = await ocireg(["push", model, `${host}/a/b:v1`, ...words]);
    expect(pushed).toMatchObject({ code: 0, stderr: "" });
    const cache = ["--cache-dir", temporaryDirectory()];
    const pulled = await ocireg(["pull", `${host}/a/b:v1`, ...words, ...cache]);
    expect(pulled).toMatchObject({ code: 0, stderr: "" });
    for (const name of files) {
      const arrived = readFileSync(join(pulled.stdout.trimEnd(), name));
      expect([name, arrived.equals(readFileSync(join(model, name)))]).toEqual([name, true]);
    }
    asking.close();
  }, 30_000);
});

describe("a name that is wrong", () => {
  test("is given up after --connect-timeout", async () => {
    expect(lastLine(await list("no-such-registry.invalid"), 5)).toContain(
      "no-such-registry.invalid: there is no host of this name",
    );
  });
});
