/** One upload session at a registry: distribution-spec, "Pushing blobs" and "Cancel blob upload". */
import { delay } from "../lib/abort.ts";
import { Failure } from "../lib/failure.ts";
import type { Digest } from "../oci/digest.ts";
import { ConnectionError } from "./connection-error.ts";
import { type Answer, discard, type HttpRequest, type RequestBody } from "./http.ts";
import type { Outcome } from "./retry.ts";
import type { Operation, Transport } from "./transport.ts";
import type { Part } from "./upload-body.ts";

/** Milliseconds that a registry gets to forget a session. */
const CANCEL_TIMEOUT = 3000;
/** Milliseconds before each attempt at that: of a request that was cut, bytes are still coming in. */
const CANCEL_DELAYS = [100, 100, 400];

export class UploadSession {
  #location: URL;
  /** The least that a chunk may have but for the last one: `OCI-Chunk-Min-Length`, in bytes. */
  readonly minChunk: number;

  /**
   * @param operation the POST that `answer` is the answer to
   * @throws {Failure} `content`: the registry doesn't say where the session is, or nowhere we go
   */
  constructor(
    readonly transport: Transport,
    readonly operation: Operation,
    answer: Answer,
  ) {
    const location = this.#locate(answer);
    if (!location) {
      throw new Failure(
        "content",
        `${operation.what}: ${answer.url.host} began an upload without saying where`,
      );
    }
    this.#location = location;
    const least = answer.headers.get("oci-chunk-min-length") ?? "";
    this.minChunk = /^\d{1,12}$/.test(least) ? Number(least) : 0;
  }

  /**
   * Bytes that the registry has; undefined when the session is gone or the registry doesn't tell.
   *
   * @throws {Failure} `network`: it can't be reached
   */
  async status(signal = this.operation.signal): Promise<number | undefined> {
    const outcome = await this.#attempt("GET", this.#location, { retry: true, signal });
    if (outcome instanceof ConnectionError) {
      throw await this.transport.failure(this.operation, outcome);
    }
    await discard(outcome);
    return [200, 202, 204].includes(outcome.status) ? this.#accept(outcome) : undefined;
  }

  /** Sends a chunk. */
  append(body: RequestBody, part: Part): Promise<Outcome> {
    return this.#attempt("PATCH", this.#location, { body, ...headersFor(part) });
  }

  /** Takes over what the answer to a chunk says. Undefined where it doesn't say how far it got. */
  async appended(answer: Answer): Promise<number | undefined> {
    await discard(answer);
    return this.#accept(answer);
  }

  /** Sends the rest, be it all or nothing, and closes the session. */
  complete(body: RequestBody, digest: Digest, part: Part): Promise<Outcome> {
    const url = new URL(this.#location);
    // Appended by hand: the state in the registry's query must stay as it is, byte for byte.
    const parameter = `digest=${encodeURIComponent(digest)}`;
    url.search = url.search ? `${url.search}&${parameter}` : `?${parameter}`;
    const isWhole = part.start === 0 || part.start === part.end;
    return this.#attempt("PUT", url, { body, ...headersFor(part, !isWhole) });
  }

  /** Lets the registry forget the session, as far as it does that. Never throws. */
  async cancel(): Promise<void> {
    const signal = AbortSignal.timeout(CANCEL_TIMEOUT);
    try {
      for (const wait of CANCEL_DELAYS) {
        await delay(wait, signal);
        const outcome = await this.#attempt("DELETE", this.#location, { signal });
        if (outcome instanceof ConnectionError) return;
        await discard(outcome);
        // Some want a location that knows how much they have.
        if (outcome.status !== 416 || (await this.status(signal)) === undefined) return;
      }
    } catch {
      // It is a courtesy: registries tidy up by themselves.
    }
  }

  /** Reads how far the session is, and where it is now. */
  #accept(answer: Answer): number | undefined {
    this.#location = this.#locate(answer) ?? this.#location;
    const last = /^(?:bytes=)?0-(\d{1,15})$/.exec(answer.headers.get("range") ?? "")?.[1];
    if (last === undefined) return undefined;
    // An empty session says 0-0 too.
    return last === "0" ? 0 : Number(last) + 1;
  }

  #locate(answer: Answer): URL | undefined {
    const location = answer.headers.get("location");
    return location ? this.transport.target("upload location", location, answer.url) : undefined;
  }

  #attempt(
    method: HttpRequest["method"],
    url: URL,
    request: Partial<HttpRequest>,
  ): Promise<Outcome> {
    const { access, host, signal, url: registry, what } = this.operation;
    const isOurs = url.origin === registry.origin;
    const operation: Operation = {
      what,
      method,
      url,
      ...(host && { host }),
      signal,
      // Another host is trusted with the content alone.
      ...(isOurs && access && { access }),
      retry: false,
      // The registry may copy all of it to another place before it answers.
      ...(request.body && { answerTimeout: this.transport.limits.stallTimeout }),
      ...request,
    };
    return this.transport.attempt(operation);
  }
}

function headersFor({ start, end }: Part, isRange = true): Pick<HttpRequest, "headers"> {
  return {
    headers: {
      "content-type": "application/octet-stream",
      ...(isRange && { "content-range": `${start}-${end - 1}` }),
    },
  };
}
