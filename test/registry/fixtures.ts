/** Hosts that speak the protocol as a test wants it, and what tests of the client need besides. */
import { afterAll } from "bun:test";
import { createServer, type Socket } from "node:net";
import { Failure } from "../../src/lib/failure.ts";
import { type Digest, digestOf } from "../../src/oci/digest.ts";
import { OCI_IMAGE_CONFIG, OCI_IMAGE_MANIFEST } from "../../src/oci/media-types.ts";
import { RegistryClient } from "../../src/registry/client.ts";
import { createConnection } from "../../src/registry/connection.ts";
import { Credentials } from "../../src/registry/credentials/credentials.ts";
import type { Send } from "../../src/registry/http.ts";
import type { ClientEvent, ClientOptions } from "../../src/registry/options.ts";
import { followRedirects } from "../../src/registry/redirects.ts";
import { retrying } from "../../src/registry/retry.ts";
import { temporaryDirectory } from "../support/temp.ts";

const stops: (() => void)[] = [];
afterAll(() => {
  for (const stop of stops.splice(0)) stop();
});

export interface TestHost {
  /** `127.0.0.1:<port>` */
  readonly host: string;
  /** Every request so far: `GET /v2/…?…`. */
  readonly requests: string[];
  /** The `Authorization` of every request so far; null where there was none. */
  readonly authorizations: (string | null)[];
}

/** A host that answers with `handler`; it ends with the test file. */
export function startHost(
  handler: (request: Request, url: URL) => Response | Promise<Response>,
  tls?: { cert: string; key: string },
): TestHost {
  const requests: string[] = [];
  const authorizations: (string | null)[] = [];
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    idleTimeout: 0,
    ...(tls && { tls }),
    fetch(request) {
      const url = new URL(request.url);
      requests.push(`${request.method} ${url.pathname}${url.search}`);
      authorizations.push(request.headers.get("authorization"));
      return handler(request, url);
    },
  });
  stops.push(() => void server.stop(true));
  return { host: `127.0.0.1:${server.port}`, requests, authorizations };
}

/** A host below HTTP: `answer` gets the socket once a request's head has come. Returns its name. */
export async function startRawHost(
  answer: (socket: Socket, head: string) => void,
): Promise<string> {
  const server = createServer((socket) => {
    let head = "";
    socket.on("error", () => {});
    socket.on("data", (chunk) => {
      head += chunk.toString("latin1");
      if (!head.includes("\r\n\r\n")) return;
      answer(socket, head);
      head = "";
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  stops.push(() => void server.close());
  const address = server.address();
  if (typeof address !== "object" || !address) throw new Error("no address");
  return `127.0.0.1:${address.port}`;
}

/** A client that sees no credentials but those of `options`. */
export function newClient(options: ClientOptions = {}): {
  client: RegistryClient;
  events: ClientEvent[];
} {
  const events: ClientEvent[] = [];
  const client = new RegistryClient({
    env: { HOME: temporaryDirectory() },
    onEvent: (event) => events.push(event),
    ...options,
  });
  return { client, events };
}

/** What the client asks with where no credentials are to be added. */
export function newSend(): Send {
  const connection = createConnection({ tls: async () => undefined, proxies: () => undefined });
  return retrying(followRedirects(connection), { connectTimeout: 1000, stallTimeout: 2000 });
}

/** The credentials of a client. */
export function newCredentials(options: ClientOptions): Credentials {
  return new Credentials(options, newSend());
}

/** The failure that `action` ends in. */
export async function failureOf(action: Promise<unknown>): Promise<Failure> {
  const error: unknown = await action.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (error instanceof Failure) return error;
  throw new Error(`no Failure, but ${error instanceof Error ? error.stack : String(error)}`);
}

export function bytesOf(text: string): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(text);
}

export function blobOf(text: string): {
  bytes: Uint8Array<ArrayBuffer>;
  descriptor: { digest: Digest; size: number };
} {
  const bytes = bytesOf(text);
  return { bytes, descriptor: { digest: digestOf(bytes), size: bytes.byteLength } };
}

export const MANIFEST_TYPE = OCI_IMAGE_MANIFEST;

/** An image manifest over blobs of a repository, as JSON. */
export function imageOf(
  config: { digest: Digest; size: number },
  more: Record<string, unknown> = {},
): Uint8Array<ArrayBuffer> {
  return bytesOf(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: OCI_IMAGE_MANIFEST,
      config: { mediaType: OCI_IMAGE_CONFIG, ...config },
      layers: [],
      ...more,
    }),
  );
}

/** The answer of a registry that has this manifest. */
export function manifestAnswer(bytes: Uint8Array<ArrayBuffer>): Response {
  return new Response(bytes, {
    headers: { "content-type": MANIFEST_TYPE, "docker-content-digest": digestOf(bytes) },
  });
}

export function errorAnswer(status: number, code: string, headers = {}): Response {
  return Response.json({ errors: [{ code, message: `about ${code}` }] }, { status, headers });
}
