/** One blob's way to a registry, as part of a transfer that is told of. */
import type { Repository } from "../oci/reference.ts";
import type { BlobBody, PushedBlob, RegistryClient } from "../registry/client.ts";
import type { BlobId } from "./blobs.ts";
import type { ProgressMeter, Subject } from "./events.ts";

export interface PushedFrom {
  readonly client: RegistryClient;
  readonly target: Repository;
  /** Opens the content, again for what has to be sent again. */
  readonly open: () => BlobBody;
  /** A repository of the same registry that has it. */
  readonly mountFrom?: string | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** Makes sure that `target` has the blob. What needn't be sent leaves the meter's total. */
export async function pushCounted(
  blob: BlobId,
  { client, target, open, mountFrom, signal }: PushedFrom,
  meter: ProgressMeter,
  subject: Subject,
): Promise<PushedBlob> {
  let sent = 0;
  const count = (bytes: number) => {
    if (bytes !== sent) meter.advance(bytes - sent, subject);
    sent = bytes;
  };
  try {
    const outcome = await client.pushBlob(target, blob, open, {
      ...(mountFrom !== undefined && { mountFrom }),
      ...(signal && { signal }),
      onProgress: count,
    });
    if (outcome === "uploaded") count(blob.size);
    else meter.skip(blob.size);
    return outcome;
  } catch (error) {
    count(0);
    throw error;
  }
}
