/**
 * The transfer engine: blobs of a repository into a directory of blobs. This is all that the rest
 * of the house knows of it.
 */
import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { errorCode, makeDirectory } from "../lib/durable.ts";
import { Failure } from "../lib/failure.ts";
import { algorithmOf, encodedOf } from "../oci/digest.ts";
import type { Repository } from "../oci/reference.ts";
import type { RegistryClient } from "../registry/client.ts";
import type { BlobDirectory, BlobId } from "./blobs.ts";
import { requireSpace } from "./disk.ts";
import { PartialBlob } from "./engine/partial.ts";
import { Scheduler } from "./engine/scheduler.ts";
import { type EventListener, ProgressMeter, type Subject } from "./events.ts";
import { withLease } from "./lease.ts";

/**
 * Does something with a blob that is there and verified. The transfer has ended only when this has,
 * and when it fails, the transfer does.
 *
 * @param signal aborts when the transfer fails
 */
export type Receiver = (blob: BlobId, signal: AbortSignal) => Promise<void>;

export interface TransferOptions {
  readonly client: RegistryClient;
  readonly repository: Repository;
  /** Is given each blob as soon as it is there, also one that was before. */
  readonly receive?: Receiver | undefined;
  /** Bytes for which there has to be room beside the blobs. @default 0 */
  readonly reserve?: number | undefined;
  readonly onEvent?: EventListener | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** A blob to fetch, and for the events what it is. */
export interface WantedBlob extends BlobId, Pick<Subject, "path" | "kind"> {}

/**
 * Fetches what isn't in `into` yet, going on where an earlier run stopped. Every blob that is there
 * afterwards was verified; a blob that another process is fetching is waited for.
 *
 * @throws {Failure} `content` when a blob isn't what its descriptor says; `disk` when there is no
 *   room; what the client throws
 */
export async function fetchBlobs(
  wanted: readonly WantedBlob[],
  into: BlobDirectory,
  options: TransferOptions,
): Promise<void> {
  const present: WantedBlob[] = [];
  const missing: WantedBlob[] = [];
  for (const blob of new Map(wanted.map((entry) => [entry.digest, entry])).values()) {
    if (await into.has(blob)) present.push(blob);
    else missing.push(blob);
  }
  // The largest first: the last one to end is then a small one.
  missing.sort((a, b) => b.size - a.size);

  const { signal, onEvent, receive = async () => {}, reserve = 0 } = options;
  await makeDirectory(into.root);
  const needed = sizeOf(missing) - (await allocated(into.partial, missing)) + reserve;
  await requireSpace(into.root, needed);
  using meter = new ProgressMeter(sizeOf(missing), onEvent);
  using scheduler = missing.length > 0 ? new Scheduler(options) : undefined;
  const failed = new AbortController();
  const ending = signal ? AbortSignal.any([signal, failed.signal]) : failed.signal;
  const tasks: Promise<void>[] = [];
  const begin = (task: Promise<void>) => {
    task.catch((error) => failed.abort(error));
    tasks.push(task);
  };
  try {
    for (const blob of present) begin(receive(blob, ending));
    if (scheduler) {
      for (const blob of missing) {
        await scheduler.wantsMore(ending);
        const fetch = fetchBlob(blob, into, scheduler, meter, onEvent, ending);
        begin(fetch.then(() => receive(blob, ending)));
      }
    }
    await Promise.all(tasks);
  } catch (error) {
    failed.abort(error);
    await Promise.allSettled(tasks);
    throw failed.signal.reason;
  }
  meter.done();
}

async function fetchBlob(
  blob: WantedBlob,
  into: BlobDirectory,
  scheduler: Scheduler,
  meter: ProgressMeter,
  onEvent: EventListener | undefined,
  signal: AbortSignal,
): Promise<void> {
  const { digest, size, path, kind } = blob;
  const subject = { digest, size, ...(path !== undefined && { path }), ...(kind && { kind }) };
  let received = 0;
  let present = 0;
  const isDone = () => into.has(blob);
  const onWait = () => onEvent?.({ type: "waiting", ...subject });
  const lease = { directory: into.partial, name: nameOf(blob), isDone, inherit: true };

  await withLease({ ...lease, onWait, signal }, async (working, ending) => {
    const partial = await PartialBlob.open(working, size);
    present += partial.written.total;
    meter.skip(partial.written.total, subject);
    const count = (bytes: number) => {
      received += bytes;
      meter.advance(bytes, subject);
    };
    try {
      await scheduler.fetch(blob, partial, count, ending);
      await partial.seal();
    } catch (error) {
      if (error instanceof Failure && error.kind === "content") await partial.discard();
      if (errorCode(error) === "ENOSPC") await requireSpace(into.root, size - received);
      throw error;
    } finally {
      await partial.close();
    }
    await into.adopt(digest, working);
  });
  // Another process fetched the rest of it, or what an earlier run left was of no use.
  meter.skip(size - received - present);
  meter.verified(subject);
}

function nameOf({ digest }: BlobId): string {
  return `${algorithmOf(digest)}-${encodedOf(digest)}`;
}

/** Bytes on disk that earlier runs have left of `blobs`. */
async function allocated(partial: string, blobs: readonly BlobId[]): Promise<number> {
  const names = new Set(blobs.map(nameOf));
  let bytes = 0;
  for (const entry of await readdir(partial).catch(() => [])) {
    if (!names.has(entry.slice(0, entry.indexOf(".")))) continue;
    const { blocks = 0 } = (await stat(join(partial, entry)).catch(() => undefined)) ?? {};
    bytes += blocks * 512;
  }
  return bytes;
}

function sizeOf(blobs: readonly BlobId[]): number {
  return blobs.reduce((sum, { size }) => sum + size, 0);
}
