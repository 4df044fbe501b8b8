/**
 * One request for a part of a blob, without retries: whoever moves many pieces has other lanes and
 * other hosts to go on with. distribution-spec, "Pulling blobs"; RFC 9110, 13.1.5 and 14.
 */
import { Failure } from "../lib/failure.ts";
import { parseRetryAfter } from "../lib/retry.ts";
import type { Descriptor } from "../oci/descriptor.ts";
import type { Repository } from "../oci/reference.ts";
import { blobOperation, lengthProblem, rangeProblem } from "./blobs.ts";
import { ConnectionError } from "./connection-error.ts";
import { MIRROR_PATIENCE } from "./failover.ts";
import type { Answer } from "./http.ts";
import { isTransient } from "./retry.ts";
import type { BlobSource } from "./sources.ts";
import type { DirectRoute, Transport } from "./transport.ts";

export interface PieceRequest {
  readonly start: number;
  /** One past the last byte. */
  readonly end: number;
  /** What an earlier answer said the blob's content is known by: a strong ETag. */
  readonly validator?: string | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** How a request for a piece ended. */
export type PieceAnswer =
  /** The bytes that were asked for; of a range only what its length says was checked. */
  | {
      readonly kind: "part";
      readonly body: ReadableStream<Uint8Array>;
      readonly validator?: string | undefined;
      /** How to ask for further parts without this client. */
      readonly direct?: DirectRoute | undefined;
    }
  /** All of the blob, from its first byte: asked for, or the host doesn't do ranges. */
  | { readonly kind: "whole"; readonly body: ReadableStream<Uint8Array> }
  /** What came isn't what was asked for. Without a range it may be. */
  | { readonly kind: "unusable"; readonly failure: Failure }
  /** The host refuses, or can't be reached. */
  | {
      readonly kind: "refused";
      readonly failure: Failure;
      /** How many refusals like this in a row mean that it won't change its mind. */
      readonly attempts: number;
      /** Milliseconds that the host asks to be left alone; it is busy. */
      readonly retryAfter?: number | undefined;
      /** Whether it said so itself: it can be reached. */
      readonly answered: boolean;
      readonly status?: number;
    };

/** A plain 500 is more often a bug than a bad moment. */
const ATTEMPTS_ON_500 = 5;
const ATTEMPTS_ELSEWHERE = 3;

/** What hosts answer that don't like a range. */
const RANGE_REFUSALS = new Set([400, 416, 501]);

/**
 * A weak tag doesn't promise the same bytes. One with other characters than ASCII is read and written
 * in different ways, and is sent back nowhere: RFC 9110, 8.8.3.
 */
const STRONG_TAG = /^"[\x21\x23-\x7e]*"$/;

/** Asks one source for a part of a blob. @throws the signal's reason */
export async function openPiece(
  transport: Transport,
  source: BlobSource,
  repository: Repository,
  blob: Pick<Descriptor, "digest" | "size">,
  request: PieceRequest,
): Promise<PieceAnswer> {
  return ask(transport, source, repository, blob, request).catch(refusal);
}

/** What the chain itself has against going on, as a redirect that isn't followed. */
function refusal(error: unknown): PieceAnswer {
  if (!(error instanceof Failure)) throw error;
  return {
    kind: "refused",
    failure: error,
    attempts: error.kind === "network" ? Number.POSITIVE_INFINITY : 1,
    answered: error.kind !== "network",
  };
}

async function ask(
  transport: Transport,
  { host, isOrigin }: BlobSource,
  repository: Repository,
  { digest, size }: Pick<Descriptor, "digest" | "size">,
  { start, end, validator, signal }: PieceRequest,
): Promise<PieceAnswer> {
  const isRange = start > 0 || end < size;
  const operation = {
    ...blobOperation(host, "get", repository, digest, "GET", "pull", signal),
    headers: {
      ...(isRange && { range: `bytes=${start}-${end - 1}` }),
      ...(isRange && validator !== undefined && { "if-range": validator }),
    },
    ...(isOrigin ? { retry: false } : MIRROR_PATIENCE),
  };
  const outcome = await transport.attempt(operation);
  const refuse = async (): Promise<PieceAnswer> => ({
    kind: "refused",
    failure: await transport.failure(operation, outcome),
    attempts: attemptsAfter(outcome, operation.url),
    ...(outcome instanceof ConnectionError
      ? { answered: false }
      : { answered: true, status: outcome.status, retryAfter: pauseOf(outcome) }),
  });
  if (outcome instanceof ConnectionError) return refuse();

  const isPart = isRange && outcome.status === 206;
  if (!isPart && outcome.status !== 200) {
    if (!isRange || !RANGE_REFUSALS.has(outcome.status)) return refuse();
    return unusable(outcome, `${operation.what}: ${host.origin} refuses bytes ${start} to ${end}`);
  }
  const expected = isPart ? end - start : size;
  const problem =
    (isPart && rangeProblem(outcome, start, end, size)) || lengthProblem(outcome, expected);
  if (problem || !outcome.body) {
    return unusable(outcome, `${operation.what}: ${outcome.url.host} ${problem || "sent nothing"}`);
  }
  if (!isPart) return { kind: "whole", body: outcome.body };
  const tag = outcome.headers.get("etag");
  if (validator !== undefined && tag !== validator) {
    return unusable(outcome, `${operation.what}: ${outcome.url.host} changed it meanwhile`);
  }
  return {
    kind: "part",
    body: outcome.body,
    ...(tag && STRONG_TAG.test(tag) && { validator: tag }),
    direct: transport.directRoute(outcome),
  };
}

async function unusable(answer: Answer, message: string): Promise<PieceAnswer> {
  await answer.body?.cancel();
  return { kind: "unusable", failure: new Failure("content", message) };
}

function attemptsAfter(outcome: Answer | ConnectionError, asked: URL): number {
  if (isTransient(outcome)) {
    const isBug = !(outcome instanceof ConnectionError) && outcome.status === 500;
    return isBug ? ATTEMPTS_ON_500 : Number.POSITIVE_INFINITY;
  }
  // A presigned URL may have expired on the way to it.
  return outcome.url.origin === asked.origin ? 1 : ATTEMPTS_ELSEWHERE;
}

function pauseOf({ status, headers }: Answer): number | undefined {
  const asked = parseRetryAfter(headers.get("retry-after"));
  return asked ?? (status === 429 ? 0 : undefined);
}
