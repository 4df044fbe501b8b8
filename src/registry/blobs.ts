/** Blobs at a registry: distribution-spec, "Pulling blobs", "Deleting Blobs". */
import { Failure } from "../lib/failure.ts";
import type { Descriptor } from "../oci/descriptor.ts";
import { type Digest, isDigest } from "../oci/digest.ts";
import { formatRepository, type Repository } from "../oci/reference.ts";
import { endpointUrl, type Host } from "./host.ts";
import { type Answer, discard } from "./http.ts";
import { type Action, accessTo } from "./scope.ts";
import type { Operation, Transport } from "./transport.ts";
import { verifyStream } from "./verified-stream.ts";

/** The part of a blob to read; all of it by default. */
export interface OpenBlobOptions {
  /** The first byte. @default 0 */
  readonly offset?: number;
  /** One past the last byte. @default the blob's size */
  readonly end?: number;
  /** False for who computes the digest by other means. @default true */
  readonly verify?: boolean;
  readonly signal?: AbortSignal;
}

/**
 * The size of a blob in bytes: `absent`, or `unknown` where the registry keeps it to itself.
 * `overrides` may name an access that the caller will need anyway, which saves a token.
 */
export async function statBlob(
  transport: Transport,
  repository: Repository,
  digest: Digest,
  overrides: Pick<Operation, "signal" | "access"> = {},
): Promise<number | "absent" | "unknown"> {
  const host = transport.host(repository.registry);
  const operation = blobOperation(host, "find", repository, digest, "HEAD", "pull");
  const answer = await transport.request({ ...operation, ...overrides }, 200, 404);
  if (answer.status === 404) return "absent";
  const length = answer.headers.get("content-length") ?? "";
  return /^\d{1,15}$/.test(length) ? Number(length) : "unknown";
}

/**
 * The bytes of a blob. All of them are verified on the way: the stream errors with a `content`
 * {@link Failure} before its end if size or digest differ; of a part only the length is checked.
 *
 * @throws {RangeError} when the part isn't within the blob
 */
export async function openBlob(
  transport: Transport,
  repository: Repository,
  { digest, size }: Pick<Descriptor, "digest" | "size">,
  { offset = 0, end = size, verify = true, signal }: OpenBlobOptions = {},
): Promise<ReadableStream<Uint8Array>> {
  if (!(offset >= 0 && offset <= end && end <= size)) {
    throw new RangeError(`no bytes ${offset} to ${end} in a blob of ${size} bytes`);
  }
  const host = transport.host(repository.registry);
  const operation = blobOperation(host, "get", repository, digest, "GET", "pull", signal);
  const isWhole = offset === 0 && end === size;
  if (!isWhole && offset === end) return emptyStream();
  const answer = await transport.request(
    { ...operation, headers: isWhole ? {} : { range: `bytes=${offset}-${end - 1}` } },
    200,
    ...(isWhole ? [] : [206]),
  );
  const isPart = answer.status === 206;
  const expected = isPart ? end - offset : size;
  const problem =
    (isPart && rangeProblem(answer, offset, end, size)) || lengthProblem(answer, expected);
  if (problem) {
    await answer.body?.cancel();
    throw new Failure("content", `${operation.what}: ${answer.url.host} ${problem}`);
  }
  const body = answer.body ?? emptyStream();
  const whole = { size: expected, ...(verify && !isPart && { digest }) };
  const verified = verifyStream(body, whole, operation.what);
  // A host without ranges sends everything.
  return isWhole || isPart ? verified : cut(verified, offset, end);
}

/** @throws {Failure} `not-found`, or `usage` where the registry doesn't delete */
export async function deleteBlob(
  transport: Transport,
  repository: Repository,
  digest: Digest,
): Promise<void> {
  const host = transport.host(repository.registry);
  const operation = blobOperation(host, "delete", repository, digest, "DELETE", "delete");
  await discard(await transport.request(operation, 200, 202, 204));
}

/** @throws {Failure} `usage`: not a digest */
export function blobOperation(
  host: Host,
  verb: string,
  repository: Repository,
  digest: Digest,
  method: Operation["method"],
  action: Action,
  signal?: AbortSignal,
): Operation {
  if (!isDigest(digest)) throw new Failure("usage", `invalid digest ${JSON.stringify(digest)}`);
  return {
    what: `can't ${verb} blob ${digest} of "${formatRepository(repository)}"`,
    method,
    url: endpointUrl(host, repository.repository, `blobs/${digest}`),
    access: accessTo(repository, action),
    signal,
  };
}

/** What is wrong with an answer that should hold a part, if something is. */
export function rangeProblem(
  answer: Answer,
  offset: number,
  end: number,
  size: number,
): string | undefined {
  const header = answer.headers.get("content-range") ?? "";
  const range = `bytes ${offset}-${end - 1}`;
  if (header === `${range}/${size}` || header === `${range}/*`) return undefined;
  return `sent other bytes than asked for: Content-Range ${JSON.stringify(header.slice(0, 100))}`;
}

/** Known before the first byte: spares the download of what can't be right. */
export function lengthProblem(answer: Answer, expected: number): string | undefined {
  const length = answer.headers.get("content-length");
  if (length === null || Number(length) === expected) return undefined;
  return `has ${length} bytes, not ${expected}`;
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
