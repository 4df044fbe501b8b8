/**
 * The executable at registries with the names of clouds: a proxy leads those names to a host of our
 * own, which has a certificate for them and speaks as they do.
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { connect, createServer, type Server } from "node:net";
import { join } from "node:path";
import { digestOf } from "../../src/oci/digest.ts";
import { runChecked } from "../support/programs.ts";
import { temporaryDirectory } from "../support/temp.ts";
import { describeWith } from "../support/tools.ts";
import { ocireg } from "./ocireg.ts";

const ECR = "123456789012.dkr.ecr.eu-central-1.amazonaws.com";
const GOOGLE = "europe-west4-docker.pkg.dev";
const AZURE = "team.azurecr.io";

const manifest = JSON.stringify({
  schemaVersion: 2,
  mediaType: "application/vnd.oci.image.index.v1+json",
  manifests: [],
});

/** What each registry lets in, and how it asks for it. */
const locks: Record<string, { authorization: string; challenge: string }> = {
  [ECR]: {
    authorization: `Basic ${btoa("AWS:ecr-password")}`,
    challenge: `Basic realm="https://${ECR}/",service="ecr.amazonaws.com"`,
  },
  [GOOGLE]: {
    authorization: "Bearer registry-token",
    challenge: `Bearer realm="https://${GOOGLE}/v2/token",service="${GOOGLE}"`,
  },
  [AZURE]: {
    authorization: "Bearer registry-token",
    challenge: `Bearer realm="https://${AZURE}/oauth2/token",service="${AZURE}"`,
  },
};

async function answer(request: Request): Promise<Response> {
  const { host, pathname } = new URL(request.url);
  const lock = locks[host];
  const authorization = request.headers.get("authorization");
  const form = request.method === "POST" ? new URLSearchParams(await request.text()) : undefined;
  const token = Response.json({ token: "registry-token", access_token: "registry-token" });
  const refusal = new Response(null, { status: 401 });
  if (pathname === "/v2/token") {
    const isKnown = authorization === `Basic ${btoa("oauth2accesstoken:google-token")}`;
    return isKnown ? token : refusal;
  }
  if (pathname === "/oauth2/exchange") {
    if (form?.get("access_token") !== "entra-token") return refusal;
    return Response.json({ refresh_token: "azure-identity" });
  }
  if (pathname === "/oauth2/token") {
    return form?.get("refresh_token") === "azure-identity" ? token : refusal;
  }
  if (!lock || authorization !== lock.authorization) {
    const headers = { "www-authenticate": lock?.challenge ?? "" };
    return new Response(null, { status: 401, headers });
  }
  return new Response(manifest, {
    headers: {
      "content-type": "application/vnd.oci.image.index.v1+json",
      "docker-content-digest": digestOf(new TextEncoder().encode(manifest)),
    },
  });
}

/** The endpoints of the clouds, which hand out what the registries above take. */
function issue(request: Request): Response {
  const { pathname } = new URL(request.url);
  if (pathname === "/ecr") {
    const data = {
      authorizationToken: btoa("AWS:ecr-password"),
      expiresAt: Date.now() / 1000 + 60,
    };
    return Response.json({ authorizationData: [data] });
  }
  if (pathname.startsWith("/computeMetadata/")) {
    return Response.json({ access_token: "google-token", expires_in: 3599 });
  }
  if (pathname === "/msi") return Response.json({ access_token: "entra-token" });
  return new Response(null, { status: 404 });
}

/** Leads every CONNECT to `port` of this machine. */
function startProxy(port: number | undefined): Promise<Server> {
  const proxy = createServer((socket) => {
    socket.on("error", () => {});
    socket.once("data", () => {
      const upstream = connect(port ?? 0, "127.0.0.1", () => {
        socket.write("HTTP/1.1 200 Connection established\r\n\r\n");
        upstream.pipe(socket).pipe(upstream);
      });
      upstream.on("error", () => socket.destroy());
    });
  });
  const { promise, resolve } = Promise.withResolvers<Server>();
  proxy.listen(0, "127.0.0.1", () => resolve(proxy));
  return promise;
}

describeWith("openssl", "in a cloud, without credentials of our own,", () => {
  const stops: (() => unknown)[] = [];
  let env: Record<string, string>;
  let ca: string;

  beforeAll(async () => {
    const directory = temporaryDirectory();
    ca = join(directory, "ca.crt");
    const key = join(directory, "key.pem");
    const names = Object.keys(locks).map((name) => `DNS:${name}`);
    await runChecked([
      ...["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"],
      ...["-subj", "/CN=clouds", "-addext", `subjectAltName=${names.join(",")}`],
      ...["-keyout", key, "-out", ca],
    ]);
    const tls = { key: Bun.file(key), cert: Bun.file(ca) };
    const registries = Bun.serve({ hostname: "127.0.0.1", port: 0, tls, fetch: answer });
    const endpoints = Bun.serve({ hostname: "127.0.0.1", port: 0, fetch: issue });
    const proxy = await startProxy(registries.port);
    stops.push(
      () => registries.stop(true),
      () => endpoints.stop(true),
      () => proxy.close(),
    );
    const address = proxy.address();
    if (typeof address !== "object" || !address) throw new Error("no address");
    env = {
      HTTPS_PROXY: `http://127.0.0.1:${address.port}`,
      NO_PROXY: "",
      AWS_ACCESS_KEY_ID: "AKIAOWN",
      AWS_SECRET_ACCESS_KEY: "own-secret",
      AWS_ENDPOINT_URL_ECR: `http://127.0.0.1:${endpoints.port}/ecr`,
      GCE_METADATA_HOST: `127.0.0.1:${endpoints.port}`,
      IDENTITY_ENDPOINT: `http://127.0.0.1:${endpoints.port}/msi`,
      IDENTITY_HEADER: "code",
    };
  }, 120_000);
  afterAll(() => {
    for (const stop of stops) stop();
  });

  test.each([
    [ECR, "user AWS and a password", "AWS_ACCESS_KEY_ID"],
    [GOOGLE, "user oauth2accesstoken and a password", "Google's metadata server"],
    [AZURE, "an identity token", "IDENTITY_ENDPOINT"],
  ])("the registry %s lets us in", async (host, credential, source) => {
    const words = ["auth", "check", `${host}/team/model:v1`, "--ca", ca];
    const { code, stdout, stderr } = await ocireg(words, { env });
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(stdout).toContain(`Credential  ${credential}\n`);
    expect(stdout).toContain(`Source      ${source}\n`);
    expect(stdout).toContain("Answer      accepted\n");
    expect(stdout).not.toMatch(/ecr-password|own-secret|-token|azure-identity/);
  });
});
