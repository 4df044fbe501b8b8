/** Requests and answers, as the links of the transport chain pass them on. */
import { Failure } from "../lib/failure.ts";
import { isNestedDeeper } from "../lib/json.ts";
import type { Host } from "./host.ts";

/** On whose behalf a request is made: what a token has to allow. */
export interface Access {
  readonly registry: string;
  /** Credentials may differ between the repositories of one registry. */
  readonly repository?: string;
  /** `repository:user/model:pull`: distribution, "Token Scope Documentation". */
  readonly scopes: readonly string[];
}

export type RequestBody =
  | Uint8Array<ArrayBuffer>
  /** Exactly `size` bytes; opened anew for each attempt. */
  | { readonly size: number; open(): ReadableStream<Uint8Array> };

export interface HttpRequest {
  readonly method: "GET" | "HEAD" | "POST" | "PUT" | "PATCH" | "DELETE";
  readonly url: URL;
  /** Whose URL it is, or who sent us there: knows the TLS, the proxy and the headers of its own. */
  readonly host?: Host;
  /** Names in lower case. */
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: RequestBody;
  readonly signal?: AbortSignal | undefined;
  /** Without it no credentials are sent. */
  readonly access?: Access;
  /**
   * Most bytes of a successful answer's body. It is then read before the answer is returned, so that
   * a retry mends a body that breaks off.
   */
  readonly bodyLimit?: number;
  /** False for what the caller repeats by other means. @default true */
  readonly retry?: boolean;
  /** Milliseconds until the answer begins, from when the body was sent. @default 30_000 */
  readonly answerTimeout?: number;
}

export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  /** The URL that answered: after redirects not the one that was asked. */
  readonly url: URL;
  /** How it was asked. */
  readonly sent: {
    /** Credentials among them. */
    readonly headers: Readonly<Record<string, string>>;
    readonly tls: Bun.TLSOptions | undefined;
    readonly isProxied: boolean;
  };
  readonly body: ReadableStream<Uint8Array> | null;
}

/** One link of the chain, or the chain from there on. */
export type Send = (request: HttpRequest) => Promise<Answer>;

/**
 * The whole body, of at most `limit` bytes; undefined where it is longer, and then no more of it is
 * read.
 *
 * @param patience milliseconds after which it isn't waited for any more: undefined then, too
 */
export async function readBody(
  answer: Answer,
  limit: number,
  patience?: number,
): Promise<Uint8Array<ArrayBuffer> | undefined> {
  if (!answer.body) return new Uint8Array();
  if (Number(answer.headers.get("content-length") ?? 0) > limit) {
    await answer.body.cancel();
    return undefined;
  }
  const reader = answer.body.getReader();
  let isLeft = false;
  const leave = () => {
    isLeft = true;
    void reader.cancel().catch(() => {});
  };
  const timer = patience === undefined ? undefined : setTimeout(leave, patience);
  const chunks: Uint8Array[] = [];
  try {
    for (let length = 0; ; ) {
      const { done, value } = await reader.read();
      if (isLeft) return undefined;
      if (done) return Buffer.concat(chunks);
      length += value.byteLength;
      if (length > limit) leave();
      else chunks.push(value);
    }
  } finally {
    clearTimeout(timer);
  }
}

/** Bodies that nobody wants are read up to here, so that their connection can be used again. */
const DISCARD_LIMIT = 64 * 1024;

/** Milliseconds that this may take: a host might send a byte now and then for ever. */
const DISCARD_TIME = 1000;

/** Lets go of an answer whose body isn't wanted. */
export async function discard(answer: Answer): Promise<void> {
  const reader = answer.body?.getReader();
  if (!reader) return;
  const leave = () => void reader.cancel().catch(() => {});
  const timer = setTimeout(leave, DISCARD_TIME);
  try {
    for (let length = 0; length <= DISCARD_LIMIT; ) {
      const { done, value } = await reader.read();
      if (done) return;
      length += value.byteLength;
    }
    leave();
  } catch {
    // It broke off, which is as good as its end.
  } finally {
    clearTimeout(timer);
  }
}

/**
 * `answer` with its body in memory.
 *
 * @throws {Failure} `content`: it has more than `limit` bytes
 */
export async function bufferBody(answer: Answer, limit: number): Promise<Answer> {
  const bytes = await readBody(answer, limit);
  if (!bytes) {
    throw new Failure("content", `${answer.url.host} sent more than the ${limit} bytes allowed`);
  }
  return { ...answer, body: new Blob([bytes]).stream() };
}

/** Deeper than anything that is asked for. */
const MAX_DEPTH = 100;

/** The JSON object in a body that was buffered. @throws {Failure} `content`: it is none */
export async function readJsonObject(answer: Answer): Promise<Record<string, unknown>> {
  const text = await new Response(answer.body).text();
  let json: unknown;
  try {
    json = isNestedDeeper(text, MAX_DEPTH) ? undefined : JSON.parse(text);
  } catch {
    // Falls through to the same complaint as JSON of another kind.
  }
  if (typeof json !== "object" || json === null || Array.isArray(json)) {
    throw new Failure("content", `${answer.url.host} answered with something else than JSON`);
  }
  return json as Record<string, unknown>;
}
