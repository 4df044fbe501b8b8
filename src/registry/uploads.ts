/** Pushing blobs: distribution-spec, "Pushing blobs" (POST then PUT) and "Mounting". */
import { delay } from "../lib/abort.ts";
import { Failure } from "../lib/failure.ts";
import type { Descriptor } from "../oci/descriptor.ts";
import { algorithmOf, isDigest } from "../oci/digest.ts";
import { formatRepository, isRepositoryName, type Repository } from "../oci/reference.ts";
import { statBlob } from "./blobs.ts";
import { ConnectionError } from "./connection-error.ts";
import { endpointUrl } from "./host.ts";
import { type Answer, discard, type RequestBody } from "./http.ts";
import { isTransient, type Outcome, retryDelay, retryEvent } from "./retry.ts";
import { accessTo } from "./scope.ts";
import type { Operation, Transport } from "./transport.ts";

/** A blob's content: a file (`Bun.file`) or bytes in memory. */
export type BlobBody = Blob | Uint8Array;

export interface PushBlobOptions {
  /** A repository of the same registry that may have the blob already. */
  readonly mountFrom?: string;
  readonly signal?: AbortSignal;
  /** Bytes sent so far; falls back to 0 when an upload has to start again. */
  readonly onProgress?: (bytes: number) => void;
}

export type PushedBlob = "exists" | "mounted" | "uploaded";

/** Upload sessions that are begun for one blob before it is given up. */
const MAX_SESSIONS = 5;
/** Bytes of memory that are handed over at once. */
const CHUNK_SIZE = 256 * 1024;

/**
 * Makes sure that the registry has the blob. An upload that breaks off starts again from a new
 * session, for which `open` is called again.
 *
 * @throws {Failure} `content`: what `open` gives hasn't the size of `descriptor`, or the registry
 *   found another digest; `disk`: it can't be read
 */
export async function pushBlob(
  transport: Transport,
  repository: Repository,
  descriptor: Pick<Descriptor, "digest" | "size">,
  open: () => BlobBody,
  options: PushBlobOptions = {},
): Promise<PushedBlob> {
  const { mountFrom, signal } = options;
  const upload = new Upload(transport, repository, descriptor, open, options);
  if (await upload.isStored()) return "exists";
  for (let session = 1; ; session++) {
    const location = await upload.start(session === 1 ? mountFrom : undefined);
    if (location === undefined) return "mounted";
    const outcome = await upload.send(location);
    if (isStatus(outcome, 201, 200, 204)) return "uploaded";
    // 404: the session is gone, which another one mends.
    const isMendable = isTransient(outcome) || isStatus(outcome, 404);
    if (!isMendable || session === MAX_SESSIONS) throw await upload.failure(outcome);
    if (!(outcome instanceof ConnectionError)) await discard(outcome);

    const wait = retryDelay(session, outcome);
    if (wait > transport.limits.stallTimeout) throw await upload.failure(outcome);
    transport.tell(retryEvent(session, wait, outcome));
    await delay(wait, signal);
    // The answer may have been lost, not the upload.
    if (await upload.isStored()) return "uploaded";
  }
}

class Upload {
  readonly #operation: Operation;

  constructor(
    readonly transport: Transport,
    readonly repository: Repository,
    readonly descriptor: Pick<Descriptor, "digest" | "size">,
    readonly open: () => BlobBody,
    readonly options: PushBlobOptions,
  ) {
    const { mountFrom, signal } = options;
    const { digest } = descriptor;
    if (!isDigest(digest)) throw new Failure("usage", `invalid digest ${JSON.stringify(digest)}`);
    if (mountFrom !== undefined && !isRepositoryName(mountFrom)) {
      throw new Failure("usage", `invalid repository ${JSON.stringify(mountFrom)}`);
    }
    this.#operation = {
      what: `can't push blob ${digest} to "${formatRepository(repository)}"`,
      method: "POST",
      url: endpointUrl(
        transport.host(repository.registry),
        repository.repository,
        "blobs/uploads/",
      ),
      access: accessTo(repository, "push", mountFrom),
      signal,
    };
  }

  async isStored(): Promise<boolean> {
    const { digest, size } = this.descriptor;
    const { access, what } = this.#operation;
    const stored = await statBlob(this.transport, this.repository, digest, {
      signal: this.options.signal,
      ...(access && { access }),
    });
    if (typeof stored === "number" && stored !== size) {
      throw new Failure(
        "content",
        `${what}: the registry has it with ${stored} bytes, not ${size}`,
      );
    }
    return stored !== "absent";
  }

  /** Begins a session and returns its location; undefined when the blob was mounted instead. */
  async start(mountFrom?: string): Promise<URL | undefined> {
    const { digest } = this.descriptor;
    const url = new URL(this.#operation.url);
    if (mountFrom !== undefined) {
      url.searchParams.set("mount", digest);
      url.searchParams.set("from", mountFrom);
    } else if (algorithmOf(digest) !== "sha256") {
      url.searchParams.set("digest-algorithm", algorithmOf(digest));
    }
    const expected = mountFrom === undefined ? [202] : [201, 202];
    const answer = await this.transport.request({ ...this.#operation, url }, ...expected);
    await discard(answer);
    return answer.status === 201 ? undefined : this.#locate(answer);
  }

  #locate(answer: Answer): URL {
    const location = answer.headers.get("location");
    if (!location) {
      throw new Failure(
        "content",
        `${this.#operation.what}: ${answer.url.host} began an upload without saying where`,
      );
    }
    const url = this.transport.target("upload location", location, answer.url);
    // Appended by hand: the state in the registry's query must stay as it is, byte for byte.
    const digest = `digest=${encodeURIComponent(this.descriptor.digest)}`;
    url.search = url.search ? `${url.search}&${digest}` : `?${digest}`;
    return url;
  }

  /** Sends everything in one request. */
  send(location: URL): Promise<Outcome> {
    const { access, ...operation } = this.#operation;
    const isOurs = location.origin === operation.url.origin;
    return this.transport.attempt({
      ...operation,
      method: "PUT",
      url: location,
      // Another host is trusted with the content alone.
      ...(isOurs && access && { access }),
      headers: { "content-type": "application/octet-stream" },
      body: this.#body(),
      retry: false,
      // The registry may copy all of it to another place before it answers.
      answerTimeout: this.transport.limits.stallTimeout,
    });
  }

  failure(outcome: Outcome): Promise<Failure> {
    return this.transport.failure(this.#operation, outcome);
  }

  #body(): RequestBody {
    const { size } = this.descriptor;
    const { what } = this.#operation;
    return {
      size,
      open: () => {
        const body = this.open();
        const actual = body instanceof Uint8Array ? body.byteLength : body.size;
        if (actual !== size) {
          throw new Failure(
            "content",
            `${what}: the local content has ${actual} bytes, not ${size}`,
          );
        }
        return countedStream(body, size, what, this.options.onProgress);
      },
    };
  }
}

/** `body` as a stream of exactly `size` bytes. */
function countedStream(
  body: BlobBody,
  size: number,
  what: string,
  onProgress: PushBlobOptions["onProgress"],
): ReadableStream<Uint8Array> {
  const source = body instanceof Uint8Array ? chunksOf(body) : body.stream().values();
  let sent = 0;
  onProgress?.(sent);
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        const { done, value } = await Promise.resolve(source.next()).catch((cause: unknown) => {
          const reason = cause instanceof Error ? cause.message : String(cause);
          throw new Failure("disk", `${what}: can't read the local content: ${reason}`, { cause });
        });
        sent += value?.byteLength ?? 0;
        if (sent > size || (done && sent < size)) {
          throw new Failure("content", `${what}: the local file changed while it was read`);
        }
        if (done) return controller.close();
        onProgress?.(sent);
        controller.enqueue(value);
      },
      async cancel() {
        await source.return?.(undefined);
      },
    },
    { highWaterMark: 0 },
  );
}

function* chunksOf(bytes: Uint8Array): Generator<Uint8Array, undefined> {
  for (let start = 0; start < bytes.byteLength; start += CHUNK_SIZE) {
    yield bytes.subarray(start, start + CHUNK_SIZE);
  }
}

function isStatus(outcome: Outcome, ...statuses: readonly number[]): outcome is Answer {
  return !(outcome instanceof ConnectionError) && statuses.includes(outcome.status);
}
