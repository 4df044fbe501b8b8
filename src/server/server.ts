import { lookup } from "node:dns/promises";
import { readFile } from "node:fs/promises";
import { createSecureContext } from "node:tls";
import { errorCode } from "../lib/durable.ts";
import { Failure } from "../lib/failure.ts";
import { MAX_MANIFEST_SIZE } from "../oci/manifest.ts";
import type { SparsePolicy, Store } from "../storage/store.ts";
import { createApp, idleTimeout, type RequestLogEntry } from "./app.ts";
import { errorResponse } from "./errors.ts";
import { Htpasswd } from "./htpasswd.ts";

export type { RequestLogEntry } from "./app.ts";

export interface ServerOptions {
  /** The address to listen on; `0.0.0.0` and `::` are all of them. */
  readonly host: string;
  /** 0 takes any free one. */
  readonly port: number;
  readonly store: Store;
  /** @default false */
  readonly readOnly?: boolean;
  /** @default true */
  readonly allowDelete?: boolean;
  /** @default "index" */
  readonly sparse?: SparsePolicy;
  /** Path of an htpasswd file with bcrypt hashes; without one, everybody may do everything. */
  readonly htpasswd?: string | undefined;
  /** Paths of a certificate chain and its key, PEM; without them, the server speaks plain HTTP. */
  readonly tls?: { readonly cert: string; readonly key: string } | undefined;
  /**
   * Bytes.
   *
   * @default 4 MiB
   */
  readonly maxManifestSize?: number;
  readonly onRequest?: (entry: RequestLogEntry) => void;
  /** Is told of errors that nobody foresaw. */
  readonly onUnexpected?: (error: unknown) => void;
}

export interface RunningServer {
  readonly url: string;
  readonly port: number;
  /**
   * Takes no new requests, lets those under way finish, and ends them after the given time.
   *
   * @returns whether all finished by themselves
   */
  stop(drainMilliseconds: number): Promise<boolean>;
}

/** @throws {Failure} `usage` when the address can't be listened on, or a named file can't be used */
export async function startServer(options: ServerOptions): Promise<RunningServer> {
  const { host, port, store, tls, onUnexpected = () => {} } = options;
  const app = createApp({
    store,
    policy: {
      readOnly: options.readOnly ?? false,
      allowDelete: options.allowDelete ?? true,
      sparse: options.sparse ?? "index",
      maxManifestSize: options.maxManifestSize ?? MAX_MANIFEST_SIZE,
    },
    htpasswd: options.htpasswd === undefined ? undefined : await Htpasswd.open(options.htpasswd),
    onRequest: options.onRequest,
    onUnexpected,
  });
  const certificates = tls && (await readCertificates(tls));
  await checkHost(host);
  try {
    app.listen({
      hostname: host,
      port,
      development: false,
      // A second process on the port is a mistake, which this makes visible.
      reusePort: false,
      idleTimeout,
      maxRequestBodySize: Number.MAX_SAFE_INTEGER,
      error: (error: unknown) => errorResponse(error, onUnexpected),
      ...(certificates && { tls: certificates }),
    });
  } catch (error) {
    throw new Failure("usage", listenMessage(error, host, port), { cause: error });
  }
  const server = app.server;
  if (!server?.port) throw new Error("the server has no port after it started to listen");
  const bound = server.port;
  return {
    url: `${tls ? "https" : "http"}://${host.includes(":") ? `[${host}]` : host}:${bound}`,
    port: bound,
    async stop(drainMilliseconds) {
      let drained = true;
      const stopped = server.stop();
      const timer = setTimeout(() => {
        drained = false;
        server.stop(true);
      }, drainMilliseconds);
      await stopped;
      clearTimeout(timer);
      return drained;
    },
  };
}

/** @throws {Failure} `usage` when they can't be read, aren't PEM, or don't belong together */
async function readCertificates(paths: { cert: string; key: string }) {
  const cert = await readPem(paths.cert, "TLS certificate");
  const key = await readPem(paths.key, "TLS key");
  try {
    createSecureContext({ cert, key });
  } catch (error) {
    throw new Failure(
      "usage",
      `can't use the TLS certificate ${JSON.stringify(paths.cert)} with the key ${JSON.stringify(paths.key)}: ${messageOf(error)}`,
      { cause: error },
    );
  }
  return { cert, key };
}

async function readPem(path: string, what: string): Promise<string> {
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    throw new Failure(
      "usage",
      `can't read the ${what} ${JSON.stringify(path)}: ${messageOf(error)}`,
      {
        cause: error,
      },
    );
  }
}

/** Bun says of a host that can't be resolved that its port is in use. */
async function checkHost(host: string): Promise<void> {
  try {
    await lookup(host);
  } catch (error) {
    throw new Failure(
      "usage",
      `can't listen on ${JSON.stringify(host)}: no such host; give an address of this machine to --addr`,
      { cause: error },
    );
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

function listenMessage(error: unknown, host: string, port: number): string {
  const address = JSON.stringify(`${host}:${port}`);
  switch (errorCode(error)) {
    case "EADDRINUSE":
      return `can't listen on ${address}: another process does; choose another port with --addr`;
    case "EACCES":
      return `can't listen on ${address}: ports below 1024 need privileges; choose another with --addr`;
    default:
      return `can't listen on ${address}: ${messageOf(error)}`;
  }
}
