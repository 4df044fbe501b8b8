/** Requests byte by byte, for what no HTTP client would send. */
import { connect } from "node:net";

export interface RawResponse {
  readonly status: number;
  /** Names in lower case. */
  readonly headers: ReadonlyMap<string, string>;
  readonly body: string;
}

export interface RawOptions {
  /**
   * What to do after the last byte: wait for the answer, close our side in order (FIN), or break the
   * connection (RST).
   *
   * @default "wait"
   */
  readonly after?: "wait" | "end" | "reset";
  /** Settles when it is time for that, because the bytes have arrived. */
  readonly arrived?: () => Promise<unknown>;
}

/**
 * Sends bytes to `host` (`address:port`) and reads one answer, or undefined when the connection ends
 * without one.
 */
export function sendRaw(
  host: string,
  parts: readonly (string | Uint8Array)[],
  { after = "wait", arrived }: RawOptions = {},
): Promise<RawResponse | undefined> {
  const [address = "", port = ""] = host.split(":");
  const { promise, resolve } = Promise.withResolvers<RawResponse | undefined>();
  const received: Uint8Array[] = [];
  const socket = connect({ host: address, port: Number(port), allowHalfOpen: true });
  const isHead = String(parts[0]).startsWith("HEAD ");
  const answer = () => parseResponse(Buffer.concat(received), isHead);
  socket.on("connect", async () => {
    for (const part of parts) socket.write(part);
    await arrived?.();
    if (after === "end") socket.end();
    if (after === "reset") socket.resetAndDestroy();
  });
  socket.on("data", (chunk: Buffer) => {
    received.push(chunk);
    const response = answer();
    if (response) {
      resolve(response);
      socket.destroy();
    }
  });
  socket.on("error", () => resolve(answer()));
  socket.on("close", () => resolve(answer()));
  socket.on("end", () => socket.destroy());
  return promise;
}

/** The answer, once it has arrived whole: up to its Content-Length. */
function parseResponse(bytes: Buffer, isHead: boolean): RawResponse | undefined {
  const end = bytes.indexOf("\r\n\r\n");
  if (end < 0) return undefined;
  const [statusLine = "", ...lines] = bytes.toString("latin1", 0, end).split("\r\n");
  const headers = new Map(
    lines.map((line) => {
      const colon = line.indexOf(":");
      return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()];
    }),
  );
  const status = Number(statusLine.split(" ")[1]);
  const length = Number((isHead ? undefined : headers.get("content-length")) ?? 0);
  const body = bytes.subarray(end + 4);
  if (status === 100) return parseResponse(body, isHead);
  if (body.byteLength < length) return undefined;
  return { status, headers, body: body.toString("utf8", 0, length) };
}

/** A request's head, ended by an empty line; a Host header is added. */
export function head(requestLine: string, headers: Record<string, string | number> = {}): string {
  const lines = Object.entries({ host: "registry.test", ...headers }).map(
    ([name, value]) => `${name}: ${value}\r\n`,
  );
  return `${requestLine} HTTP/1.1\r\n${lines.join("")}\r\n`;
}
