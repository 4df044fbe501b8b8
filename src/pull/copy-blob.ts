/** One blob's way from one registry to another. */
import { delay } from "../lib/abort.ts";
import { Failure } from "../lib/failure.ts";
import { backoffDelay } from "../lib/retry.ts";
import type { Repository } from "../oci/reference.ts";
import type { PushedBlob, RegistryClient } from "../registry/client.ts";
import type { BlobId } from "./blobs.ts";
import type { EventListener, ProgressMeter, Subject } from "./events.ts";
import { pushCounted } from "./push-blob.ts";
import { Relay } from "./relay.ts";

export interface CopiedFrom {
  readonly client: RegistryClient;
  readonly source: Repository;
  readonly target: Repository;
  readonly onEvent?: EventListener | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** Attempts at a blob whose bytes turn out to be wrong: they may have been damaged on the way. */
const CONTENT_ATTEMPTS = 2;

/** Makes sure that `target` has a blob of `source`: found, mounted, or streamed. */
export async function copyBlob(
  blob: BlobId,
  { client, source, target, onEvent, signal }: CopiedFrom,
  meter: ProgressMeter,
  subject: Subject,
): Promise<PushedBlob> {
  const tell = (attempt: number, wait: number, reason: string) =>
    onEvent?.({ type: "retry", attempt, delay: Math.round(wait), reason });
  const isNeighbour =
    source.registry === target.registry && source.repository !== target.repository;
  for (let attempt = 1; ; attempt++) {
    try {
      const relay = new Relay(blob, { client, source, signal, onRetry: tell });
      const mountFrom = isNeighbour ? source.repository : undefined;
      const from = { client, target, open: () => relay, mountFrom, signal };
      return await pushCounted(blob, from, meter, subject);
    } catch (error) {
      const isWrong = error instanceof Failure && error.kind === "content";
      if (!isWrong || attempt === CONTENT_ATTEMPTS) throw error;
      const wait = backoffDelay(attempt);
      tell(attempt, wait, error.message);
      await delay(wait, signal);
    }
  }
}
