/**
 * A connection for closed ranges: HTTP/1.1 over a bare socket, one request at a time. Anything but
 * the bytes that were asked for ends it; whoever asked goes on by way of the registry client, which
 * knows about challenges, redirects and everything else that a host may say.
 *
 * It is here because it moves a third more bytes for each CPU second than fetch does.
 */
import type { Socket } from "bun";
import type { DirectRoute } from "../../registry/client.ts";
import type { FetchOrder, LaneProblem } from "./protocol.ts";
import { isInterim, parseResponseHead, partProblem } from "./response-head.ts";

/** What becomes of a request. */
export interface PartReceiver {
  /** Bytes in order. They are only valid during the call. @returns false when it wants no more */
  data(chunk: Buffer): boolean;
  /** Called once; without a problem all that was wanted has come. */
  end(problem?: LaneProblem): void;
}

const CLOSED = "the connection was closed unexpectedly";

export class RangeConnection {
  #socket: Socket | undefined;
  #receiver: PartReceiver | undefined;
  #order: FetchOrder | undefined;
  #head: Buffer = Buffer.alloc(0);
  #outgoing: Buffer = Buffer.alloc(0);
  /** Bytes of the body that are still to come; undefined while the head is. */
  #left: number | undefined;
  #reusable = true;
  #served = 0;

  private constructor(private readonly route: DirectRoute) {}

  /** A connection to where `route` leads, whose request goes out when it stands. */
  static open(route: DirectRoute): RangeConnection {
    const connection = new RangeConnection(route);
    connection.#connect();
    return connection;
  }

  /** Whether another request may be sent. */
  get isReusable(): boolean {
    return this.#reusable && this.#receiver === undefined;
  }

  /** Whether an earlier request was answered on it: then its host may have closed it since. */
  get hasServed(): boolean {
    return this.#served > 0;
  }

  request(order: FetchOrder, receiver: PartReceiver): void {
    this.#order = order;
    this.#receiver = receiver;
    this.#head = Buffer.alloc(0);
    this.#left = undefined;
    const lines = requestLines(order);
    if (!lines.every((line) => PLAIN.test(line))) {
      this.close({ reason: "what it was to be asked with can't be sent" });
      return;
    }
    this.#outgoing = Buffer.from(`${lines.join("\r\n")}\r\n\r\n`);
    this.#send();
  }

  pause(): void {
    this.#socket?.pause();
  }

  resume(): void {
    this.#socket?.resume();
  }

  /** Ends it at once; the receiver hears of it when it is given a problem. */
  close(problem?: LaneProblem): void {
    this.#reusable = false;
    const receiver = this.#receiver;
    this.#receiver = undefined;
    this.#socket?.terminate();
    if (problem) receiver?.end(problem);
  }

  #connect(): void {
    const { protocol, hostname, port } = new URL(this.route.url);
    const isTls = protocol === "https:";
    // An empty object would mean no TLS at all.
    const tls = { serverName: bare(hostname), rejectUnauthorized: true, ...this.route.tls };
    const trusting = tls.rejectUnauthorized === false;
    const ready = (socket: Socket) => {
      this.#socket = socket;
      this.#send();
    };
    Bun.connect({
      hostname: bare(hostname),
      port: port === "" ? (isTls ? 443 : 80) : Number(port),
      ...(isTls && { tls }),
      socket: {
        open: (socket) => {
          if (!isTls) ready(socket);
        },
        handshake: (socket, success, error) => {
          if (success || trusting) ready(socket);
          else {
            // First: of what is ended here, no more is heard than that it was closed.
            this.close({ reason: handshakeProblem(error) });
            socket.terminate();
          }
        },
        data: (_, chunk) => this.#receive(chunk),
        drain: () => this.#send(),
        close: () => this.close({ reason: CLOSED }),
        end: () => this.close({ reason: CLOSED }),
        error: () => this.close({ reason: CLOSED }),
        connectError: () => this.close({ reason: "the connection was refused" }),
      },
    }).then(
      (socket) => {
        if (this.#reusable) this.#socket ??= isTls ? undefined : socket;
        else socket.terminate();
      },
      () => this.close({ reason: "the connection was refused" }),
    );
  }

  #send(): void {
    if (!this.#socket || this.#outgoing.byteLength === 0) return;
    const sent = this.#socket.write(this.#outgoing);
    this.#outgoing = this.#outgoing.subarray(Math.max(0, sent));
  }

  #receive(chunk: Buffer): void {
    const order = this.#order;
    if (!this.#receiver || !order) {
      this.close();
      return;
    }
    const body = this.#left === undefined ? this.#readHead(chunk, order) : chunk;
    if (!body || this.#left === undefined || body.byteLength === 0) return;
    if (body.byteLength > this.#left) {
      this.close({ reason: "it sent more than it said" });
      return;
    }
    this.#left -= body.byteLength;
    const wantsMore = this.#receiver.data(body);
    if (this.#left === 0) {
      this.#finish();
    } else if (!wantsMore) {
      const receiver = this.#receiver;
      this.close();
      receiver?.end();
    }
  }

  /** What of `chunk` belongs to the body; undefined when the head isn't over, or was the end. */
  #readHead(chunk: Buffer, order: FetchOrder): Buffer | undefined {
    let input = this.#head.byteLength === 0 ? chunk : Buffer.concat([this.#head, chunk]);
    try {
      let head = parseResponseHead(input);
      while (head && isInterim(head)) {
        input = input.subarray(head.length);
        head = parseResponseHead(input);
      }
      if (!head) {
        this.#head = Buffer.from(input);
        return undefined;
      }
      const reason = partProblem(head, order);
      if (reason !== undefined) {
        this.close({ reason, status: head.status });
        return undefined;
      }
      if (/\bclose\b/i.test(head.headers.get("connection") ?? "")) this.#reusable = false;
      this.#left = order.end - order.start;
      return input.subarray(head.length);
    } catch (error) {
      if (!(error instanceof SyntaxError)) throw error;
      this.close({ reason: error.message });
      return undefined;
    }
  }

  #finish(): void {
    const receiver = this.#receiver;
    this.#receiver = undefined;
    this.#served++;
    if (!this.#reusable) this.close();
    receiver?.end();
  }
}

/**
 * What a line of a request may hold. Nothing else, wherever it came from: a line break would be the
 * end of a header, and the beginning of one that somebody else wrote.
 */
const PLAIN = /^[\t\x20-\x7e]*$/;

function requestLines({ route, start, end, validator }: FetchOrder): string[] {
  const { host, pathname, search } = new URL(route.url);
  const headers: Record<string, string> = {
    host,
    ...route.headers,
    range: `bytes=${start}-${end - 1}`,
    ...(validator !== undefined && { "if-range": validator }),
  };
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}`);
  return [`GET ${pathname}${search} HTTP/1.1`, ...lines];
}

/** `[::1]` is how a URL writes the address `::1`. */
function bare(hostname: string): string {
  return hostname.replace(/^\[(.*)\]$/, "$1");
}

function handshakeProblem(error: Error | null): string {
  const code = error && "code" in error ? ` (${error.code})` : "";
  return `its certificate isn't accepted, or it doesn't speak TLS${code}`;
}
