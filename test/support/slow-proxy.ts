/** A link that is slow: stands before a registry and passes the bodies of its answers on at a rate. */

/** Bytes that are passed on at a time. */
const STEP = 16 * 1024;

export interface SlowProxy extends Disposable {
  /** `127.0.0.1:<port>` */
  readonly host: string;
  /** `METHOD path` of every request so far. */
  readonly requests: string[];
}

/** @param bytesPerSecond of each answer */
export function startSlowProxy(upstream: string, bytesPerSecond: number): SlowProxy {
  const requests: string[] = [];
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    idleTimeout: 255,
    async fetch(request) {
      const url = new URL(request.url);
      requests.push(`${request.method} ${url.pathname}`);
      const answer = await fetch(`${upstream}${url.pathname}${url.search}`, {
        method: request.method,
        headers: request.headers,
        body: request.body,
        redirect: "manual",
        decompress: false,
        signal: request.signal,
      });
      return new Response(answer.body && slowly(answer.body, bytesPerSecond), {
        status: answer.status,
        headers: answer.headers,
      });
    },
  });
  return {
    host: `127.0.0.1:${server.port}`,
    requests,
    [Symbol.dispose]: () => void server.stop(true),
  };
}

async function* slowly(
  body: ReadableStream<Uint8Array>,
  bytesPerSecond: number,
): AsyncGenerator<Uint8Array> {
  for await (const chunk of body) {
    for (let start = 0; start < chunk.byteLength; start += STEP) {
      const part = chunk.subarray(start, start + STEP);
      yield part;
      await Bun.sleep((part.byteLength / bytesPerSecond) * 1000);
    }
  }
}
