/** Reading request bodies: as a stream, or whole up to a limit. Timeouts follow progress. */
import { BrokenBodyError, RequestError } from "./errors.ts";
import type { Exchange } from "./exchange.ts";

/**
 * The body's chunks as they come. A peer that stops sending is cut off by the connection's timeout,
 * which starts anew whenever something arrives.
 *
 * @throws {BrokenBodyError} when the peer goes away in the middle
 */
export async function* bodyChunks(exchange: Exchange): AsyncGenerator<Uint8Array> {
  const { body } = exchange.request;
  if (body === null) return;
  // Iterating the stream itself gives chunks of some 400 KB, a reader's read() ones of 64 KB: with
  // the latter, the hops to the thread that writes cost more than the writing.
  const chunks = body[Symbol.asyncIterator]();
  // From here on it is the peer that is waited for.
  exchange.progress();
  try {
    while (true) {
      const { done, value } = await chunks.next().catch((error) => {
        throw new BrokenBodyError("the connection broke in the middle of the body", {
          cause: error,
        });
      });
      if (done) return;
      exchange.progress();
      yield value;
    }
  } finally {
    // Whoever stops early doesn't want the rest.
    chunks.return?.().catch(() => {});
  }
}

/** @throws {RequestError} 413 when there are more than `limit` bytes */
export async function readBody(exchange: Exchange, limit: number): Promise<Uint8Array> {
  const tooLarge = () =>
    new RequestError(413, "MANIFEST_INVALID", `the manifest is larger than ${limit} bytes`);
  const length = contentLength(exchange.request);
  if (length !== undefined && length > limit) throw tooLarge();
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of bodyChunks(exchange)) {
    size += chunk.byteLength;
    if (size > limit) throw tooLarge();
    chunks.push(chunk);
  }
  return Buffer.concat(chunks, size);
}

/** The announced length of the body in bytes, where it is announced. */
export function contentLength(request: Request): number | undefined {
  const header = request.headers.get("content-length");
  if (header === null || request.headers.has("transfer-encoding")) return undefined;
  return Number(header);
}
