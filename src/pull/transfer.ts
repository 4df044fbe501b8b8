/**
 * The transfer engine: blobs of a repository into a directory of blobs. This is all that the rest
 * of the house knows of it.
 */
import { rm } from "node:fs/promises";
import { delay } from "../lib/abort.ts";
import { errorCode, makeDirectory } from "../lib/durable.ts";
import { Failure, type FailureKind } from "../lib/failure.ts";
import { backoffDelay } from "../lib/retry.ts";
import { algorithmOf, encodedOf } from "../oci/digest.ts";
import type { Repository } from "../oci/reference.ts";
import type { RegistryClient } from "../registry/client.ts";
import type { BlobDirectory, BlobId } from "./blobs.ts";
import { transferAll } from "./concurrently.ts";
import { requireSpace } from "./disk.ts";
import { type EventListener, ProgressMeter, type Subject } from "./events.ts";
import { withLease } from "./lease.ts";

export interface TransferOptions {
  readonly client: RegistryClient;
  readonly repository: Repository;
  readonly onEvent?: EventListener | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** A blob to fetch, and for the events what it is. */
export interface WantedBlob extends BlobId, Pick<Subject, "path" | "kind"> {}

/** Blobs that are fetched at a time. */
const CONCURRENCY = 4;
/**
 * Attempts at one blob: a connection may break in its middle, and what doesn't match its digest may
 * have been damaged on the way. Other failures are final.
 */
const ATTEMPTS: Partial<Record<FailureKind, number>> = { network: 5, content: 2 };

/**
 * Fetches what isn't in `into` yet. Every blob that is there afterwards was verified; a blob that
 * another process is fetching is waited for.
 *
 * @throws {Failure} `content` when a blob isn't what its descriptor says; `disk` when there is no
 *   room; what the client throws
 */
export async function fetchBlobs(
  wanted: readonly WantedBlob[],
  into: BlobDirectory,
  options: TransferOptions,
): Promise<void> {
  const missing: WantedBlob[] = [];
  for (const blob of new Map(wanted.map((entry) => [entry.digest, entry])).values()) {
    if (!(await into.has(blob))) missing.push(blob);
  }
  // The largest first: the last one to end is then a small one.
  missing.sort((a, b) => b.size - a.size);

  const total = missing.reduce((sum, { size }) => sum + size, 0);
  await makeDirectory(into.root);
  await requireSpace(into.root, total);
  using meter = new ProgressMeter(total, options.onEvent);
  await transferAll(missing, CONCURRENCY, options.signal, (blob, signal) =>
    fetchBlob(blob, into, { ...options, signal }, meter),
  );
  meter.done();
}

async function fetchBlob(
  blob: WantedBlob,
  into: BlobDirectory,
  { client, repository, signal, onEvent }: TransferOptions,
  meter: ProgressMeter,
): Promise<void> {
  const { digest, size, path, kind } = blob;
  const subject = { digest, ...(path !== undefined && { path }), ...(kind && { kind }) };
  let received = 0;

  async function attempt(working: string): Promise<void> {
    meter.advance(-received, subject);
    received = 0;
    const stream = await client.openBlob(repository, { digest, size }, signal ? { signal } : {});
    try {
      await into.write(blob, stream, working, (count) => {
        received += count;
        meter.advance(count, subject);
      });
    } catch (error) {
      if (errorCode(error) === "ENOSPC") await requireSpace(into.root, size - received);
      throw error;
    }
  }

  await withLease(
    {
      directory: into.partial,
      name: `${algorithmOf(digest)}-${encodedOf(digest)}`,
      isDone: () => into.has(blob),
      signal,
    },
    async (working) => {
      for (let number = 1; ; number++) {
        try {
          return await attempt(working);
        } catch (error) {
          await rm(working, { force: true });
          const limit = error instanceof Failure ? (ATTEMPTS[error.kind] ?? 1) : 1;
          if (signal?.aborted || number >= limit) throw error;
          const wait = backoffDelay(number);
          onEvent?.({
            type: "retry",
            attempt: number,
            delay: Math.round(wait),
            reason: (error as Failure).message,
          });
          await delay(wait, signal);
        }
      }
    },
  );
  // Another process fetched it, or the rest of it.
  meter.skip(size - received);
  meter.verified(subject);
}
