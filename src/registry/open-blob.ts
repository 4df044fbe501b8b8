/** The bytes of a blob, from whoever has them: distribution-spec, "Pulling blobs". */
import { Failure } from "../lib/failure.ts";
import type { Descriptor } from "../oci/descriptor.ts";
import type { Repository } from "../oci/reference.ts";
import { blobFailed, blobOperation, lengthProblem, rangeProblem } from "./blobs.ts";
import type { Patience } from "./failover.ts";
import type { Host } from "./host.ts";
import type { Transport } from "./transport.ts";
import { verifyStream } from "./verified-stream.ts";

/** The part of a blob to read; all of it by default. */
export interface OpenBlobOptions {
  /** The first byte. @default 0 */
  readonly offset?: number;
  /** One past the last byte. @default the blob's size */
  readonly end?: number;
  /** False for who computes the digest by other means; then only the registry is asked. @default true */
  readonly verify?: boolean;
  /**
   * Fail with `usage` where a host sends all of the blob instead of a part from its middle, rather
   * than read up to there. @default false
   */
  readonly onlyRange?: boolean;
  readonly signal?: AbortSignal;
}

/**
 * The bytes of a blob, from any host that has them; where a mirror breaks off, the next host goes on.
 * All of them are verified on the way: the stream errors with a `content` {@link Failure} before its
 * end if size or digest differ; of a part only the length is checked.
 *
 * @throws {RangeError} when the part isn't within the blob
 */
export async function openBlob(
  transport: Transport,
  repository: Repository,
  blob: Pick<Descriptor, "digest" | "size">,
  options: OpenBlobOptions = {},
): Promise<ReadableStream<Uint8Array>> {
  const { offset = 0, end = blob.size, verify = true, onlyRange = false, signal } = options;
  const { digest, size } = blob;
  if (!(offset >= 0 && offset <= end && end <= size)) {
    throw new RangeError(`no bytes ${offset} to ${end} in a blob of ${size} bytes`);
  }
  const isWhole = offset === 0 && end === size;
  if (!isWhole && offset === end) return emptyStream();
  const part = { transport, repository, blob, offset, end, verify, onlyRange, signal };
  const reading = await Reading.begin(part);
  return verifyStream(
    reading.stream(),
    { size: end - offset, ...(verify && isWhole && { digest }) },
    blobFailed("get", repository, digest),
    (failure) => reading.blame(failure),
  );
}

interface Part {
  readonly transport: Transport;
  readonly repository: Repository;
  readonly blob: Pick<Descriptor, "digest" | "size">;
  readonly offset: number;
  readonly end: number;
  readonly verify: boolean;
  readonly onlyRange: boolean;
  readonly signal: AbortSignal | undefined;
}

interface Opened {
  readonly host: Host;
  readonly reader: ReturnType<typeof readerOf>;
}

/** A part of a blob on its way, of which one host may have sent the beginning and another the rest. */
class Reading {
  #position: number;
  /** The mirrors that sent some of it. */
  readonly #mirrors = new Set<Host>();

  private constructor(
    readonly part: Part,
    private current: Opened,
  ) {
    this.#position = part.offset;
  }

  static async begin(part: Part): Promise<Reading> {
    return new Reading(part, await openFrom(part, part.offset));
  }

  stream(): ReadableStream<Uint8Array> {
    return new ReadableStream<Uint8Array>(
      {
        pull: async (controller) => {
          const chunk = await this.#read();
          if (chunk) controller.enqueue(chunk);
          else controller.close();
        },
        cancel: (reason) => this.current.reader.cancel(reason),
      },
      { highWaterMark: 0 },
    );
  }

  /** What came together isn't what it should be. */
  blame(failure: Failure): void {
    const { transport, repository } = this.part;
    for (const mirror of this.#mirrors) transport.mirrors.failed(mirror, repository, failure);
  }

  async #read(): Promise<Uint8Array | undefined> {
    const { transport, repository, end, signal } = this.part;
    for (;;) {
      const { host, reader } = this.current;
      const isOrigin = host === transport.host(repository.registry);
      try {
        const { value } = await reader.read();
        if (!isOrigin) this.#check(host, value);
        this.#position += value?.byteLength ?? 0;
        return value;
      } catch (error) {
        if (isOrigin || signal?.aborted) throw error;
        transport.mirrors.failed(host, repository, error);
        await reader.cancel().catch(() => {});
        if (this.#position === end) return undefined;
        this.current = await openFrom(this.part, this.#position);
      }
    }
  }

  /** Finds out, while there is another host, that a mirror sends more or less than it should. */
  #check(host: Host, chunk: Uint8Array | undefined): void {
    const left = this.part.end - this.#position;
    if (chunk ? chunk.byteLength > left : left > 0) {
      const { repository, blob } = this.part;
      const what = blobFailed("get", repository, blob.digest);
      throw new Failure("content", `${what}: ${host.origin} sent another length than it announced`);
    }
    if (chunk) this.#mirrors.add(host);
  }
}

function readerOf(stream: ReadableStream<Uint8Array>) {
  return stream.getReader();
}

/** The bytes from `start` on at the first host that has them. */
function openFrom(part: Part, start: number): Promise<Opened> {
  const { transport, repository, verify, signal } = part;
  const ask = async (host: Host, patience: Patience) => {
    const stream = await openAt(part, host, patience, start);
    return { host, reader: readerOf(stream) };
  };
  if (!verify) return ask(transport.host(repository.registry), {});
  return transport.fromAnywhere(repository, "content", signal, ask);
}

async function openAt(
  { transport, repository, blob: { digest, size }, end, verify, onlyRange, signal }: Part,
  host: Host,
  patience: Patience,
  start: number,
): Promise<ReadableStream<Uint8Array>> {
  const operation = blobOperation(host, "get", repository, digest, "GET", "pull", signal);
  const isRange = start > 0 || end < size;
  const answer = await transport.request(
    { ...operation, ...patience, headers: isRange ? { range: `bytes=${start}-${end - 1}` } : {} },
    200,
    ...(isRange ? [206] : []),
  );
  const isPart = answer.status === 206;
  const expected = isPart ? end - start : size;
  const problem =
    (isPart && rangeProblem(answer, start, end, size)) || lengthProblem(answer, expected);
  if (problem) {
    await answer.body?.cancel();
    throw new Failure("content", `${operation.what}: ${answer.url.host} ${problem}`);
  }
  if (onlyRange && start > 0 && !isPart) {
    await answer.body?.cancel();
    throw new Failure("usage", `${operation.what}: ${answer.url.host} sends no parts of blobs`);
  }
  const body = answer.body ?? emptyStream();
  // A host without ranges sends everything.
  return isRange && !isPart
    ? cut(verifyStream(body, { size, ...(verify && { digest }) }, operation.what), start, end)
    : body;
}

/** The bytes from `offset` to `end` of `source`, which isn't read further. */
function cut(source: ReadableStream<Uint8Array>, offset: number, end: number) {
  const reader = source.getReader();
  let position = 0;
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        for (;;) {
          const { done, value } = await reader.read();
          if (done) return controller.close();
          const start = position;
          position += value.byteLength;
          if (position <= offset) continue;
          controller.enqueue(value.subarray(Math.max(0, offset - start), end - start));
          if (position < end) return;
          controller.close();
          return reader.cancel();
        }
      },
      cancel: (reason) => reader.cancel(reason),
    },
    { highWaterMark: 0 },
  );
}

function emptyStream(): ReadableStream<Uint8Array> {
  return new ReadableStream({ start: (controller) => controller.close() });
}
