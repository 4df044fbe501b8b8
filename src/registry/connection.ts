/**
 * One HTTP exchange. It ends when it makes no progress, and its failures come out classified.
 */
import { ConnectionError } from "./connection-error.ts";
import { type Host, isMachineLocal } from "./host.ts";
import type { Answer, HttpRequest, RequestBody, Send } from "./http.ts";
import type { ForwardProxy, ProxyFinder } from "./proxy.ts";

/** Milliseconds without progress after which a request ends at the latest. */
export const REQUEST_STALL_TIMEOUT = 30_000;

/**
 * How many times as long all of a body may take that is read whole, and so is small: else a host
 * could send a byte now and then for ever.
 */
const WHOLE_BODY = 10;

export interface ConnectionOptions {
  /** Milliseconds without progress. @default REQUEST_STALL_TIMEOUT */
  readonly stallTimeout?: number;
  /** The TLS settings for a URL; the same object each time, so that connections are shared. */
  readonly tls: (url: URL, host?: Host) => Promise<Bun.TLSOptions | undefined>;
  readonly proxies: ProxyFinder;
}

type FetchOptions = BunFetchRequestInit & { decompress: boolean; timeout: boolean };

/**
 * The innermost link: throws {@link ConnectionError}, the reason of the request's signal, or
 * whatever opening and reading its body throws; an answer's body errors with the same. Redirects are
 * answers like any other.
 */
export function createConnection({
  tls,
  proxies,
  stallTimeout = REQUEST_STALL_TIMEOUT,
}: ConnectionOptions): Send {
  return async (request) => {
    const { url, host } = request;
    const own = host?.origin === url.origin ? host : undefined;
    const tlsOptions = await tls(url, host);
    // A proxy's loopback isn't ours, nor is its cloud's metadata server.
    const proxy = isMachineLocal(url.hostname) ? undefined : (own?.proxy ?? proxies(url));
    const source = openBody(request.body);
    const exchange = new Exchange(request, stallTimeout, proxy);
    try {
      const body = source && exchange.outgoing(source);
      const headers = {
        ...STANDARD_HEADERS,
        ...own?.headers,
        ...request.headers,
        ...lengthOf(request.body),
      };
      const options: FetchOptions = {
        method: request.method,
        headers,
        redirect: "manual",
        signal: exchange.signal,
        // Digests are over the bytes as they are stored.
        decompress: false,
        // Bun would end any request after five minutes.
        timeout: false,
        ...(body && { body }),
        ...(tlsOptions && { tls: tlsOptions }),
        proxy: proxy?.url ?? false,
      };
      const response = await fetch(url, options);
      if (proxy && response.status === 407) {
        await response.body?.cancel();
        throw ConnectionError.refusedByProxy(url, proxy, 407);
      }
      return exchange.answer(response, {
        headers,
        tls: tlsOptions,
        isProxied: proxy !== undefined,
      });
    } catch (error) {
      throw exchange.fail(error);
    }
  };
}

type OpenBody = Uint8Array<ArrayBuffer> | ReadableStream<Uint8Array>;

const STANDARD_HEADERS = { "accept-encoding": "identity", "user-agent": "ocireg" };

function openBody(body: RequestBody | undefined): OpenBody | undefined {
  return body === undefined || body instanceof Uint8Array ? body : body.open();
}

/** Of a stream, fetch doesn't know the length. */
function lengthOf(body: RequestBody | undefined): Record<string, string> {
  if (body === undefined || body instanceof Uint8Array) return {};
  return { "content-length": String(body.size) };
}

/** The clock of one request, from its dispatch to the end of its answer. */
class Exchange {
  readonly #abort = new AbortController();
  readonly #answerTimeout: number;
  #answered = false;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #stalled = false;
  #deadline: ReturnType<typeof setTimeout> | undefined;
  #late = false;
  /** What reading our own body threw: not the connection's fault. */
  #localError: { readonly error: unknown } | undefined;

  constructor(
    readonly request: HttpRequest,
    readonly stallTimeout: number,
    readonly proxy: ForwardProxy | undefined,
  ) {
    this.#answerTimeout = request.answerTimeout ?? stallTimeout;
    request.signal?.addEventListener("abort", this.#onAbort, { once: true });
    if (request.signal?.aborted) this.#onAbort();
    this.#expectProgress(this.#answerTimeout);
  }

  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  readonly #onAbort = () => this.#abort.abort();

  #expectProgress(milliseconds: number): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      this.#stalled = true;
      this.#abort.abort();
    }, milliseconds);
  }

  #end(): void {
    clearTimeout(this.#timer);
    clearTimeout(this.#deadline);
    this.request.signal?.removeEventListener("abort", this.#onAbort);
  }

  /** What to throw for `error`, which ended the exchange. */
  fail(error: unknown): unknown {
    this.#end();
    if (this.request.signal?.aborted) return this.request.signal.reason;
    if (this.#localError) return this.#localError.error;
    if (error instanceof ConnectionError) return error;
    const { url, body } = this.request;
    if (this.#late) return ConnectionError.tooSlow(url, this.proxy);
    if (this.#stalled) return ConnectionError.stalled(url, this.proxy);
    return ConnectionError.from(url, error, { first: !this.#answered && !body, proxy: this.proxy });
  }

  /** What fetch is to send of `source`. */
  outgoing(source: OpenBody): OpenBody {
    if (source instanceof Uint8Array) return source;
    // Until its first bytes are wanted, this is about the connection.
    this.#expectProgress(Math.min(this.#answerTimeout, this.stallTimeout));
    const reader = source.getReader();
    return new ReadableStream<Uint8Array>(
      {
        pull: async (controller) => {
          // What we wait for ourselves isn't the connection's fault.
          clearTimeout(this.#timer);
          try {
            const { done, value } = await reader.read();
            this.#expectProgress(done ? this.#answerTimeout : this.stallTimeout);
            if (done) controller.close();
            else controller.enqueue(value);
          } catch (error) {
            this.#localError = { error };
            throw error;
          }
        },
        cancel: (reason) => reader.cancel(reason),
      },
      { highWaterMark: 0 },
    );
  }

  answer(response: Response, sent: Answer["sent"]): Answer {
    this.#answered = true;
    const { status, headers } = response;
    const answer = { status, headers, url: new URL(this.request.url), sent };
    if (!response.body || this.request.method === "HEAD") {
      this.#end();
      return { ...answer, body: null };
    }
    clearTimeout(this.#timer);
    if (this.request.bodyLimit !== undefined) {
      this.#deadline = setTimeout(() => {
        this.#late = true;
        this.#abort.abort();
      }, this.stallTimeout * WHOLE_BODY);
    }
    return { ...answer, body: this.#incoming(response.body) };
  }

  /** The answer's body. The clock runs only while it is being waited for. */
  #incoming(body: ReadableStream<Uint8Array>): ReadableStream<Uint8Array> {
    const reader = body.getReader();
    return new ReadableStream<Uint8Array>(
      {
        pull: async (controller) => {
          this.#expectProgress(this.stallTimeout);
          try {
            const { done, value } = await reader.read();
            clearTimeout(this.#timer);
            if (!done) return controller.enqueue(value);
            this.#end();
            controller.close();
          } catch (error) {
            throw this.fail(error);
          }
        },
        cancel: async () => {
          this.#end();
          // Ends the connection too; cancelling the reader alone might wait for more bytes.
          this.#abort.abort();
          await reader.cancel().catch(() => {});
        },
      },
      { highWaterMark: 0 },
    );
  }
}
