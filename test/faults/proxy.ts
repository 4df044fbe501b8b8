/**
 * A registry that fails as a test wants it: a proxy in front of a real one, which works on the wire,
 * so that it can lie about lengths, fall silent and hang up. It knows requests without bodies, as a
 * pull makes them, also those that are meant for an HTTP proxy.
 */
import { createServer, type Socket } from "node:net";
import { type Behaviour, type Exchange, type Fault, type Outgoing, perform } from "./behaviour.ts";

export interface FaultProxy extends AsyncDisposable {
  /** `127.0.0.1:<port>` */
  readonly host: string;
  /** Every request so far. */
  readonly log: readonly Exchange[];
  /** What is done from now on. */
  fault: Fault;
  /** Requests of a kind so far; of blobs, perhaps of one alone. */
  requests(kind: Exchange["kind"], digest?: string): number;
  /** Bytes of blobs that were sent so far, of one or of all. */
  bytes(digest?: string): number;
  /** Forgets what was counted. */
  reset(): void;
}

/** @param upstream the registry's `host:port`, plain HTTP */
export async function startFaultProxy(
  upstream: string,
  fault: Fault = () => undefined,
): Promise<FaultProxy> {
  const log: Exchange[] = [];
  const bytes = new Map<string, number>();
  const sockets = new Set<Socket>();

  async function exchange(socket: Socket, head: string): Promise<boolean> {
    const request = readRequest(head, log);
    log.push(request);
    const behaviour = proxy.fault(request) ?? {};
    const left = new AbortController();
    const leave = () => left.abort();
    socket.once("close", leave);
    try {
      const outgoing = canned(behaviour) ?? (await forward(upstream, request, behaviour, left));
      return await perform(socket, outgoing, behaviour, (count) => {
        const { digest } = request;
        if (digest !== undefined) bytes.set(digest, (bytes.get(digest) ?? 0) + count);
      });
    } catch (error) {
      // Whatever became of the registry, its client sees a broken connection.
      socket.destroy();
      if (!left.signal.aborted) throw error;
      return false;
    } finally {
      socket.off("close", leave);
      left.abort();
    }
  }

  const server = createServer((socket) => {
    sockets.add(socket);
    socket.setNoDelay(true);
    socket.on("close", () => sockets.delete(socket));
    socket.on("error", () => {});
    let waiting = "";
    let busy = false;
    const next = async () => {
      const end = waiting.indexOf("\r\n\r\n");
      if (busy || end < 0) return;
      busy = true;
      const head = waiting.slice(0, end);
      waiting = waiting.slice(end + 4);
      busy = !(await exchange(socket, head));
      await next();
    };
    socket.on("data", (chunk) => {
      waiting += chunk.toString("latin1");
      void next();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  if (typeof address !== "object" || !address) throw new Error("no address");

  const proxy: FaultProxy = {
    host: `127.0.0.1:${address.port}`,
    log,
    fault,
    requests: (kind, digest) =>
      log.filter(
        (entry) => entry.kind === kind && (digest === undefined || entry.digest === digest),
      ).length,
    bytes: (digest) =>
      digest === undefined
        ? [...bytes.values()].reduce((sum, count) => sum + count, 0)
        : (bytes.get(digest) ?? 0),
    reset() {
      log.length = 0;
      bytes.clear();
    },
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
  return proxy;
}

function readRequest(head: string, log: readonly Exchange[]): Exchange {
  const [first = "", ...lines] = head.split("\r\n");
  const [method = "", target = ""] = first.split(" ");
  const url = new URL(target, "http://proxy");
  const headers = new Map(
    lines.map((line) => {
      const colon = line.indexOf(":");
      return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()];
    }),
  );
  const [, plural, name] = /\/(manifests|blobs)\/([^/]+)$/.exec(url.pathname) ?? [];
  const kind = plural === "manifests" ? "manifest" : plural === "blobs" ? "blob" : "other";
  return {
    method,
    path: `${url.pathname}${url.search}`,
    headers,
    kind,
    number: log.filter((entry) => entry.kind === kind).length + 1,
    ...(kind === "blob" && name !== undefined && { digest: name }),
    start: Number(/^bytes=(\d+)-/.exec(headers.get("range") ?? "")?.[1] ?? 0),
  };
}

function canned({ answer }: Behaviour): Outgoing | undefined {
  if (!answer) return undefined;
  const { status, headers, body } = answer;
  if (typeof body === "object") return { status, headers: headers ?? {}, body, start: 0 };
  const bytes = new TextEncoder().encode(body ?? "");
  return {
    status,
    headers: { "content-length": String(bytes.byteLength), ...headers },
    body: chunksOf(bytes),
    start: 0,
  };
}

async function* chunksOf(...chunks: Uint8Array[]): AsyncGenerator<Uint8Array> {
  yield* chunks;
}

/** The answer's headers that a client may see; the others belong to a connection. */
const CONNECTION_HEADERS = new Set(["connection", "keep-alive", "transfer-encoding", "date"]);

async function forward(
  upstream: string,
  { method, path, headers, start }: Exchange,
  behaviour: Behaviour,
  { signal }: AbortController,
): Promise<Outgoing> {
  const sent = new Map(headers);
  for (const name of ["host", "connection", "proxy-connection"]) sent.delete(name);
  if (behaviour.ignoreRange) for (const name of ["range", "if-range"]) sent.delete(name);
  const response = await fetch(`http://${upstream}${behaviour.path ?? path}`, {
    method,
    headers: Object.fromEntries(sent),
    redirect: "manual",
    decompress: false,
    proxy: false,
    signal,
  } as BunFetchRequestInit);
  const received = [...response.headers].filter(([name]) => !CONNECTION_HEADERS.has(name));
  return {
    status: response.status,
    headers: Object.fromEntries(received),
    ...(method !== "HEAD" && response.body && { body: response.body }),
    start: response.status === 206 ? start : 0,
  };
}
