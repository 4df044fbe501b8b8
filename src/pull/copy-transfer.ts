/** What one copy moves: trees of manifests, each with its blobs first. */
import { untilAborted } from "../lib/abort.ts";
import type { Reference } from "../oci/reference.ts";
import { withDigest } from "../oci/reference.ts";
import type { RemoteManifest } from "../registry/client.ts";
import type { BlobId } from "./blobs.ts";
import { transferAll } from "./concurrently.ts";
import type { CopyOptions } from "./copy.ts";
import { copyBlob } from "./copy-blob.ts";
import { ProgressMeter } from "./events.ts";
import { transferLargestFirst } from "./largest-first.ts";
import { MANIFESTS_AT_ONCE, type ManifestTree } from "./manifest-tree.ts";

/** Blobs that are on their way at a time. */
const BLOBS_AT_ONCE = 6;

export class CopyTransfer implements Disposable {
  #meter: ProgressMeter | undefined;

  constructor(readonly options: CopyOptions) {}

  /** Pushes everything of the tree but its root. */
  async pushBelow({ blobs, levels }: ManifestTree): Promise<void> {
    const meter = this.#expect(blobs.reduce((sum, { size }) => sum + size, 0));
    const { target, signal } = this.options;
    await transferLargestFirst(blobs, BLOBS_AT_ONCE, signal, (blob, either) =>
      this.#copyBlob(blob, meter, either),
    );
    for (const level of levels) {
      await transferAll(level, MANIFESTS_AT_ONCE, signal, (manifest) =>
        this.put(withDigest(target, manifest.descriptor.digest), manifest),
      );
    }
  }

  async put(reference: Reference, { bytes, descriptor }: RemoteManifest): Promise<void> {
    const { client, signal } = this.options;
    signal?.throwIfAborted();
    await untilAborted(client.putManifest(reference, bytes, descriptor.mediaType), signal);
  }

  done(): void {
    this.#meter?.done();
  }

  [Symbol.dispose](): void {
    this.#meter?.[Symbol.dispose]();
  }

  /** @param bytes that may have to be moved */
  #expect(bytes: number): ProgressMeter {
    if (this.#meter) this.#meter.expect(bytes);
    else this.#meter = new ProgressMeter(bytes, this.options.onEvent, "at most");
    return this.#meter;
  }

  async #copyBlob(blob: BlobId, meter: ProgressMeter, signal: AbortSignal): Promise<void> {
    const subject = { digest: blob.digest, size: blob.size };
    const outcome = await copyBlob(blob, { ...this.options, signal }, meter, subject);
    if (outcome === "uploaded") meter.verified(subject);
  }
}
