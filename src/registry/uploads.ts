/**
 * Pushing blobs: distribution-spec, "Pushing blobs", "Pushing a blob in chunks" and "Mounting". The
 * whole blob goes in one request, which every registry takes. What breaks off goes on from where the
 * registry says it is; chunks are for those that take no large requests, or keep nothing of one
 * that broke off.
 */
import { delay, GraceSignal } from "../lib/abort.ts";
import { Failure } from "../lib/failure.ts";
import type { Descriptor } from "../oci/descriptor.ts";
import { algorithmOf, isDigest } from "../oci/digest.ts";
import { formatRepository, isRepositoryName, type Repository } from "../oci/reference.ts";
import { statBlob } from "./blobs.ts";
import { ConnectionError } from "./connection-error.ts";
import { endpoint } from "./endpoint.ts";
import { type Answer, discard } from "./http.ts";
import { isTransient, type Outcome, retryDelay, retryEvent } from "./retry.ts";
import type { Operation, Transport } from "./transport.ts";
import { type BlobBody, type Part, partialBody } from "./upload-body.ts";
import { UploadSession } from "./upload-session.ts";

export interface PushBlobOptions {
  /** A repository of the same registry that may have the blob already. */
  readonly mountFrom?: string;
  readonly signal?: AbortSignal;
  /** Bytes sent so far; falls back to what the registry has when an upload broke off. */
  readonly onProgress?: (bytes: number) => void;
}

export type PushedBlob = "exists" | "mounted" | "uploaded";

/** Times in a row that an upload may fail without getting any further. */
const MAX_ATTEMPTS = 5;
/** Bytes of a chunk, where chunks are needed and the registry doesn't ask for more. */
const CHUNK_SIZE = 32 * 1024 * 1024;
/** Bytes of the smallest chunk that is tried with a registry that finds others too large. */
const LEAST_CHUNK = 1024 * 1024;
/** Milliseconds to learn where a session is, so that one that was just begun can be cancelled. */
const START_GRACE = 2000;

/**
 * Makes sure that the registry has the blob. `open` is called again for what has to be sent again. A
 * session that isn't completed is cancelled.
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
  const upload = new Upload(transport, repository, descriptor, open, options);
  return (await upload.isStored()) ? "exists" : upload.run();
}

class Upload {
  readonly #operation: Operation;
  #session: UploadSession | undefined;
  /** Bytes that the registry has for certain. */
  #offset = 0;
  /** How far in the blob bytes were sent in this session. */
  #sent = 0;
  /** The first byte of the last request that sent some, and one past its last. */
  #part: Part = { start: 0, end: 0 };
  /** Bytes of a chunk; all of them in one request while it is infinite. */
  #chunk = Number.POSITIVE_INFINITY;
  /** False when the registry refused parts of a blob. */
  #isResumable = true;

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
      ...endpoint(
        transport.host(repository.registry),
        repository,
        "blobs/uploads/",
        "push",
        mountFrom,
      ),
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

  async run(): Promise<PushedBlob> {
    try {
      if (!(await this.#mountOrBegin())) return "mounted";
      for (let attempt = 1, furthest = 0; ; attempt++) {
        if (this.#session === undefined) this.#session = await this.#begin();
        const outcome = await this.#send(this.#session);
        if (isStatus(outcome, 201, 200, 204)) {
          this.#session = undefined;
          await discard(outcome);
          return "uploaded";
        }
        const failure = await this.transport.failure(this.#operation, outcome);
        const remedy = this.#remedyFor(outcome);
        // What the registry still has of a request that broke off isn't known yet.
        const isLast = attempt >= MAX_ATTEMPTS && !(outcome instanceof ConnectionError);
        // A smaller request may go at once.
        const wait = isStatus(outcome, 413) ? 0 : retryDelay(attempt, outcome);
        if (!remedy || isLast || wait > this.transport.limits.stallTimeout) throw failure;
        this.transport.tell(retryEvent(attempt, wait, outcome));
        await delay(wait, this.options.signal);
        // The answer may have been lost, not the upload.
        if (await this.isStored()) return "uploaded";

        await (remedy === "go on" ? this.#goOn(outcome) : this.#startAgain());
        if (this.#offset > furthest) {
          furthest = this.#offset;
          attempt = 0;
        } else if (attempt >= MAX_ATTEMPTS) throw failure;
      }
    } finally {
      await this.#session?.cancel();
    }
  }

  /**
   * Mounts the blob, from the repository that may have it or from wherever the registry finds it,
   * or begins a session. Returns whether there is something left to do.
   */
  async #mountOrBegin(): Promise<boolean> {
    const { mountFrom } = this.options;
    const answer = await this.#post({
      mount: this.descriptor.digest,
      ...(mountFrom !== undefined && { from: mountFrom }),
    });
    if (isStatus(answer, 201)) {
      await discard(answer);
      return false;
    }
    // Who doesn't like to be asked for a mount may still take an upload.
    this.#session = isStatus(answer, 202)
      ? await this.#sessionOf(answer)
      : await this.#beginAfter(answer);
    return true;
  }

  async #beginAfter(refusal: Outcome): Promise<UploadSession> {
    if (refusal instanceof ConnectionError || isTransient(refusal)) {
      throw await this.transport.failure(this.#operation, refusal);
    }
    await discard(refusal);
    return this.#begin();
  }

  async #begin(): Promise<UploadSession> {
    const answer = await this.#post({});
    if (!isStatus(answer, 202)) throw await this.transport.failure(this.#operation, answer);
    return this.#sessionOf(answer);
  }

  async #sessionOf(answer: Answer): Promise<UploadSession> {
    await discard(answer);
    const session = new UploadSession(this.transport, this.#operation, answer);
    this.#offset = 0;
    this.#sent = 0;
    if (this.options.signal?.aborted) {
      await session.cancel();
      throw this.options.signal.reason;
    }
    return session;
  }

  async #post(parameters: Readonly<Record<string, string>>): Promise<Outcome> {
    const url = new URL(this.#operation.url);
    const algorithm = algorithmOf(this.descriptor.digest);
    if (algorithm !== "sha256") url.searchParams.set("digest-algorithm", algorithm);
    for (const [name, value] of Object.entries(parameters)) url.searchParams.set(name, value);
    this.options.signal?.throwIfAborted();
    using grace = new GraceSignal(this.options.signal, START_GRACE);
    return this.transport.attempt({ ...this.#operation, url, signal: grace.signal });
  }

  /** Sends what is missing. Returns how it ended, or how the first chunk did that went wrong. */
  async #send(session: UploadSession): Promise<Outcome> {
    const { digest, size } = this.descriptor;
    while (size - this.#offset > this.#chunk) {
      const part = { start: this.#offset, end: this.#offset + this.#chunk };
      const outcome = await session.append(this.#bodyOf(part), part);
      if (!isStatus(outcome, 202, 201, 204)) return outcome;
      const offset = (await session.appended(outcome)) ?? part.end;
      if (offset <= part.start || offset > part.end) {
        throw new Failure(
          "content",
          `${this.#operation.what}: ${outcome.url.host} says that it has ${offset} bytes after ${part.end} were sent`,
        );
      }
      this.#offset = offset;
    }
    const rest = { start: this.#offset, end: size };
    return session.complete(this.#bodyOf(rest), digest, rest);
  }

  #bodyOf(part: Part) {
    const { size } = this.descriptor;
    this.#part = part;
    return partialBody(this.open, part, size, this.#operation.what, (position) => {
      this.#sent = Math.max(this.#sent, position);
      this.options.onProgress?.(position);
    });
  }

  /** What may help after a request for this upload ended so. */
  #remedyFor(outcome: Outcome): "go on" | "start again" | undefined {
    if (isTransient(outcome) || isStatus(outcome, 416)) return "go on";
    // The session is gone.
    if (isStatus(outcome, 404)) return "start again";
    if (isStatus(outcome, 413)) return this.#shrinkChunks() ? "go on" : undefined;
    if (outcome instanceof ConnectionError || isStatus(outcome, 401, 403)) return undefined;
    // It may not know parts, or have put them together wrongly.
    const wasWhole = this.#part.start === 0 && this.#part.end === this.descriptor.size;
    if (wasWhole || !this.#isResumable) return undefined;
    this.#isResumable = false;
    this.#chunk = Number.POSITIVE_INFINITY;
    return "start again";
  }

  /** Makes requests smaller than the one that was too large. */
  #shrinkChunks(): boolean {
    const least = Math.max(this.#session?.minChunk ?? 0, LEAST_CHUNK);
    const refused = this.#part.end - this.#part.start;
    if (refused <= least || !this.#isResumable) return false;
    this.#chunk = Math.max(least, Math.min(CHUNK_SIZE, Math.floor(refused / 2)));
    return true;
  }

  /** Finds out what the registry has, or begins anew where that can't be known. */
  async #goOn(outcome: Outcome): Promise<void> {
    const { size } = this.descriptor;
    const offset = this.#isResumable ? await this.#session?.status() : undefined;
    if (offset !== undefined && offset > 0 && offset <= this.#sent) {
      this.#offset = offset;
      return;
    }
    const least = Math.max(CHUNK_SIZE, this.#session?.minChunk ?? 0);
    if (offset === 0 && outcome instanceof ConnectionError && size > least) this.#chunk = least;
    await this.#startAgain();
  }

  async #startAgain(): Promise<void> {
    await this.#session?.cancel();
    this.#session = undefined;
    this.#offset = 0;
  }
}

function isStatus(outcome: Outcome, ...statuses: readonly number[]): outcome is Answer {
  return !(outcome instanceof ConnectionError) && statuses.includes(outcome.status);
}
