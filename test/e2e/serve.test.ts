import { afterEach, describe, expect, test } from "bun:test";
import { existsSync, readdirSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { digestOf } from "../../src/oci/digest.ts";
import { runChecked } from "../support/programs.ts";
import { temporaryDirectory } from "../support/temp.ts";
import { testWith } from "../support/tools.ts";
import { ocireg, type Served, startServe } from "./ocireg.ts";

const started: Served[] = [];
afterEach(async () => {
  for (const served of started.splice(0)) await served.stop();
});

async function serve(...given: Parameters<typeof startServe>): Promise<Served> {
  const served = await startServe(...given);
  started.push(served);
  return served;
}

/** Puts a blob that is larger than what sockets buffer, and begins to download it. */
async function slowDownload({ url }: Served) {
  const bytes = new Uint8Array(64 * 1024 * 1024).fill(7);
  const put = await fetch(`${url}/v2/big/blobs/uploads/?digest=${digestOf(bytes)}`, {
    method: "POST",
    body: bytes,
  });
  expect(put.status).toBe(201);
  const response = await fetch(`${url}/v2/big/blobs/${digestOf(bytes)}`);
  const reader = response.body?.getReader() as ReadableStreamDefaultReader<Uint8Array>;
  let received = (await reader.read()).value?.byteLength ?? 0;
  return {
    size: bytes.byteLength,
    /** Reads on to the end, and says how much came. */
    async finish() {
      for (;;) {
        const { done, value } = await reader.read();
        if (done) return received;
        received += value.byteLength;
      }
    },
    cancel: () => reader.cancel(),
  };
}

/** Resolves when the server refuses new connections. */
async function untilRefused(served: Served): Promise<void> {
  const port = Number(new URL(served.url).port);
  for (;;) {
    const refused = await new Promise<boolean>((resolve) => {
      const socket = connect(port, "127.0.0.1", () => socket.destroy());
      socket.on("error", () => resolve(true)).on("close", () => resolve(false));
    });
    if (refused) return;
    await Bun.sleep(10);
  }
}

describe("serve", () => {
  test("says one line when it is ready, on stderr, with the port that it got", async () => {
    const served = await serve();
    expect(served.stderr()).toBe(`ocireg: serving ${served.root} on ${served.url}\n`);
    expect(served.url).toMatch(/^http:\/\/127\.0\.0\.1:[1-9]\d*$/);
    expect((await fetch(`${served.url}/v2/`)).status).toBe(200);
    served.kill("SIGTERM");
    expect(await served.exited).toBe(143);
    expect(served.stdout()).toBe("");
    expect(served.stderr()).toEndWith(" info stopped\n");
    expect(served.stderr()).not.toContain("ocireg: terminated");
  });

  test("says everything as JSON where that is asked for", async () => {
    const served = await serve(["--log-format", "json"]);
    await fetch(`${served.url}/v2/a/tags/list`);
    served.kill("SIGINT");
    expect(await served.exited).toBe(130);
    const lines = served
      .stderr()
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line));
    expect(lines[0]).toMatchObject({ level: "info", root: served.root, url: served.url });
    expect(lines[1]).toMatchObject({ method: "GET", path: "/v2/a/tags/list", status: 404 });
    expect(lines[1]).toMatchObject({ bytes: null, user: null });
    expect(lines[1].message).toEndWith(" 127.0.0.1 -");
    expect(lines.at(-1)).toMatchObject({ level: "info", message: "stopped" });
    for (const { time } of lines) expect(new Date(time).toISOString()).toBe(time);
  });

  test("logs requests, but neither credentials nor what moves a cursor", async () => {
    const directory = temporaryDirectory();
    writeFileSync(
      join(directory, "users"),
      `me:${await Bun.password.hash("open sesame", { algorithm: "bcrypt", cost: 4 })}\n`,
    );
    const served = await serve(["--htpasswd", join(directory, "users")]);
    const authorization = `Basic ${btoa("me:open sesame")}`;
    expect((await fetch(`${served.url}/v2/`)).status).toBe(401);
    expect((await fetch(`${served.url}/v2/`, { headers: { authorization } })).status).toBe(200);
    const socket = connect(Number(new URL(served.url).port), "127.0.0.1");
    const answered = new Promise((resolve) => socket.once("data", resolve));
    socket.write(
      `GET /v2/x\u001b[31m/tags/list HTTP/1.1\r\nHost: a\r\nAuthorization: ${authorization}\r\n\r\n`,
    );
    await answered;
    socket.destroy();
    served.kill("SIGTERM");
    await served.exited;
    expect(served.stderr()).toMatch(/ info GET \/v2\/ 401 \S+ [\d.]+ms 127\.0\.0\.1 -\n/);
    expect(served.stderr()).toMatch(/ info GET \/v2\/ 200 2 [\d.]+ms 127\.0\.0\.1 me\n/);
    expect(served.stderr()).not.toContain("\u001b");
    expect(served.stderr()).not.toContain("sesame");
    expect(served.stderr()).not.toContain(authorization.slice(6));
  });

  test("reads ocireg.toml of its working directory, below the environment and the flags", async () => {
    const cwd = temporaryDirectory();
    writeFileSync(join(cwd, "ocireg.toml"), 'read-only = true\nlog-level = "error"\n');
    const served = await serve([], { cwd });
    const post = () => fetch(`${served.url}/v2/a/blobs/uploads/`, { method: "POST" });
    expect((await post()).status).toBe(405);
    served.kill("SIGTERM");
    await served.exited;
    expect(served.stderr()).not.toContain("POST");

    const overridden = await serve([], { cwd, env: { OCIREG_READ_ONLY: "false" } });
    const status = await fetch(`${overridden.url}/v2/a/blobs/uploads/`, { method: "POST" });
    expect(status.status).toBe(202);
  });

  test("isn't changed by .env, bunfig.toml, package.json and NODE_OPTIONS", async () => {
    const cwd = temporaryDirectory();
    writeFileSync(join(cwd, ".env"), "OCIREG_READ_ONLY=nonsense\n");
    writeFileSync(join(cwd, "bunfig.toml"), 'preload = ["./stray.js"]\n');
    writeFileSync(join(cwd, "stray.js"), 'throw new Error("a stray file was run")\n');
    writeFileSync(join(cwd, "package.json"), "{");
    writeFileSync(join(cwd, "tsconfig.json"), "{");
    const served = await serve([], { cwd, env: { NODE_OPTIONS: "--require ./stray.js" } });
    expect((await fetch(`${served.url}/v2/`)).status).toBe(200);
  });

  testWith("openssl", "serves HTTPS to who trusts its certificate by --ca", async () => {
    const directory = temporaryDirectory();
    const [cert, key] = [join(directory, "cert.pem"), join(directory, "key.pem")];
    await runChecked(
      `openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=test -addext subjectAltName=IP:127.0.0.1 -keyout ${key} -out ${cert}`.split(
        " ",
      ),
    );
    const served = await serve(["--tls-cert", cert, "--tls-key", key]);
    expect(served.url).toStartWith("https://127.0.0.1:");
    const words = ["repos", "ls", served.host, "--connect-timeout", "1s"];
    expect((await ocireg(words)).code).toBe(5);
    const trusted = await ocireg([...words, "--ca", cert]);
    expect(trusted).toEqual({ code: 0, stdout: "", stderr: "" });
    expect((await ocireg([...words, "--insecure-skip-tls-verify"])).code).toBe(0);
  });

  test("warns whoever lets other machines in unprotected", async () => {
    const served = await serve(["--addr", ":0"]);
    expect(served.stderr()).toContain(
      "warning reachable from other machines without --tls-cert and --htpasswd\n",
    );
    expect((await fetch(`http://127.0.0.1:${new URL(served.url).port}/v2/`)).status).toBe(200);
    served.kill("SIGTERM");
    await served.exited;
    // Whichever kind of socket it listens on.
    expect(served.stderr()).toMatch(/ GET \/v2\/ 200 2 [\d.]+ms 127\.0\.0\.1 -\n/);
  });
});

describe("serve, asked to stop,", () => {
  test("takes no more, but lets a transfer finish", async () => {
    const served = await serve();
    const download = await slowDownload(served);
    served.kill("SIGTERM");
    await untilRefused(served);
    expect(await download.finish()).toBe(download.size);
    expect(await served.exited).toBe(143);
    expect(served.stderr()).not.toContain("warning");
  });

  test("cuts transfers that outlast --drain-timeout", async () => {
    const served = await serve(["--drain-timeout", "200ms"]);
    const download = await slowDownload(served);
    served.kill("SIGTERM");
    expect(await served.exited).toBe(143);
    await download.cancel().catch(() => {});
    expect(served.stderr()).toContain(" warning cut the transfers that went on after 200ms");
  });

  test("ends at once when asked twice", async () => {
    const served = await serve();
    const download = await slowDownload(served);
    served.kill("SIGINT");
    await untilRefused(served);
    served.kill("SIGINT");
    expect(await served.exited).toBe(130);
    await download.cancel().catch(() => {});
  });

  test("doesn't wait for idle connections", async () => {
    const served = await serve();
    const socket = connect(Number(new URL(served.url).port), "127.0.0.1");
    socket.on("error", () => {});
    const answered = new Promise((resolve) => socket.once("data", resolve));
    socket.write("GET /v2/ HTTP/1.1\r\nHost: a\r\n\r\n");
    await answered;
    const before = performance.now();
    served.kill("SIGTERM");
    expect(await served.exited).toBe(143);
    // Far below the 25 s that transfers would get.
    expect(performance.now() - before).toBeLessThan(10_000);
    socket.destroy();
  });
});

describe("serve that can't start", () => {
  test("because the port is taken exits with 2", async () => {
    const { host } = await serve();
    const { code, stdout, stderr } = await ocireg([
      "serve",
      "--addr",
      host,
      "--root",
      temporaryDirectory(),
    ]);
    expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
    expect(stderr).toMatch(
      /^ocireg: can't listen on "127\.0\.0\.1:\d+": another process does[^\n]*\n$/,
    );
  });

  test("because the root can't be written to exits with 7", async () => {
    const { code, stderr } = await ocireg([
      "serve",
      "--addr",
      "127.0.0.1:0",
      "--root",
      "/proc/nowhere",
    ]);
    expect(code).toBe(7);
    expect(stderr).toMatch(/^ocireg: can't use the root "\/proc\/nowhere": [^\n]+\n$/);
  });

  test.each(["htpasswd", "tls-cert"])(
    "because of a bad --%s exits with 2 and names it",
    async (flag) => {
      const bad = join(temporaryDirectory(), "bad");
      writeFileSync(bad, "neither users nor a certificate\n");
      const words = [
        "serve",
        "--addr",
        "127.0.0.1:0",
        "--root",
        temporaryDirectory(),
        `--${flag}`,
        bad,
      ];
      const { code, stderr } = await ocireg(
        flag === "tls-cert" ? [...words, "--tls-key", bad] : words,
      );
      expect(code).toBe(2);
      expect(stderr).toMatch(/^ocireg: [^\n]+\n$/);
    },
  );

  test("leaves nothing behind when the command line is wrong", async () => {
    const cwd = temporaryDirectory();
    expect((await ocireg(["serve", "--sparse", "all"], { cwd })).code).toBe(2);
    expect(readdirSync(cwd)).toEqual([]);
    expect(existsSync(join(cwd, "data"))).toBe(false);
  });
});
