/** What the fault proxy does with one request, and how it does it on the wire. */
import type { Socket } from "node:net";

/** A request as it came to the proxy. */
export interface Exchange {
  readonly method: string;
  /** Path and query. */
  readonly path: string;
  readonly headers: ReadonlyMap<string, string>;
  readonly kind: "manifest" | "blob" | "other";
  /** Counted from 1, among the requests of this kind. */
  readonly number: number;
  /** Of a blob, where the path has one. */
  readonly digest?: string;
  /** The first byte that is asked for. @default 0 */
  readonly start: number;
}

/** Everything is optional: an empty behaviour passes on what the registry answers. */
export interface Behaviour {
  /** The answer, of which the registry learns nothing. */
  readonly answer?: CannedAnswer;
  /** Another path to ask the registry for. */
  readonly path?: string;
  /** The registry isn't told of a range that was asked for. */
  readonly ignoreRange?: boolean;
  readonly status?: number;
  /** Headers of the answer that are others; null for those that it has not. */
  readonly headers?: Readonly<Record<string, string | null>>;
  /** Other bytes. `offset` is the place of the chunk in the blob. */
  readonly change?: (chunk: Uint8Array, offset: number) => Uint8Array;
  /** Closes the connection after this many bytes of the body; -1: instead of an answer. */
  readonly cutAfter?: number;
  /** Says nothing more, and stays, after this many bytes of the body; -1: instead of an answer. */
  readonly stallAfter?: number;
  /** Bytes a second. */
  readonly rate?: number;
  /** No `Content-Length` and no chunks: the body ends with the connection. */
  readonly untilClose?: boolean;
}

export interface CannedAnswer {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | AsyncIterable<Uint8Array>;
}

/** Decides how a request is treated; undefined passes it on. */
export type Fault = (exchange: Exchange) => Behaviour | undefined;

/** What goes to the client, before the behaviour changes it. */
export interface Outgoing {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: AsyncIterable<Uint8Array>;
  /** The place of the body's first byte in the blob. */
  readonly start: number;
}

/** Bytes of the body that are written at a time where something happens within it. */
const STEP = 16 * 1024;

/**
 * Writes an answer as `behaviour` wants it, and returns whether the connection can be used again.
 *
 * @param onBytes hears how many bytes of the body went out
 */
export async function perform(
  socket: Socket,
  outgoing: Outgoing,
  behaviour: Behaviour,
  onBytes: (count: number) => void,
): Promise<boolean> {
  const { cutAfter = Infinity, stallAfter = Infinity, rate, untilClose, change } = behaviour;
  const limit = Math.min(cutAfter, stallAfter);
  const stop = async () => {
    if (stallAfter < cutAfter) await closed(socket);
    else socket.destroy();
    return false;
  };
  if (limit < 0) return stop();

  await write(socket, head(outgoing, behaviour));
  if (limit === 0) return stop();
  let sent = 0;
  for await (const chunk of outgoing.body ?? []) {
    const changed = change ? change(chunk.slice(), outgoing.start + sent) : chunk;
    const step = rate ? Math.min(STEP, Math.ceil(rate / 10)) : changed.byteLength;
    for (let from = 0; from < changed.byteLength; from += step) {
      const piece = changed.subarray(from, Math.min(from + step, changed.byteLength));
      const allowed = piece.subarray(0, limit - sent);
      if (!(await write(socket, allowed))) return false;
      onBytes(allowed.byteLength);
      sent += allowed.byteLength;
      if (sent >= limit) return stop();
      if (rate) await Bun.sleep((allowed.byteLength / rate) * 1000);
    }
  }
  if (untilClose) socket.end();
  return !untilClose;
}

function head({ status, headers }: Outgoing, behaviour: Behaviour): string {
  const lines = [`HTTP/1.1 ${behaviour.status ?? status} Whatever`];
  const all = { ...headers, ...behaviour.headers };
  for (const [name, value] of Object.entries(all)) {
    if (value === null || (behaviour.untilClose && name === "content-length")) continue;
    lines.push(`${name}: ${value}`);
  }
  if (behaviour.untilClose) lines.push("connection: close");
  return `${lines.join("\r\n")}\r\n\r\n`;
}

/** Returns false when the client has gone. */
async function write(socket: Socket, data: string | Uint8Array): Promise<boolean> {
  if (socket.destroyed) return false;
  if (!socket.write(data)) {
    await new Promise<void>((resolve) => {
      const go = () => {
        socket.off("drain", go);
        socket.off("close", go);
        resolve();
      };
      socket.on("drain", go);
      socket.on("close", go);
    });
  }
  return !socket.destroyed;
}

function closed(socket: Socket): Promise<void> {
  if (socket.destroyed) return Promise.resolve();
  return new Promise((resolve) => socket.once("close", () => resolve()));
}
