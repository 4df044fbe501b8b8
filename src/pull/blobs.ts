/** A directory of verified blobs, `blobs/<algorithm>/<hex>`, and of unfinished ones, `partial/`. */
import { type FileHandle, open, rename, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { isMissing, makeDirectory, syncDirectory, writeFully } from "../lib/durable.ts";
import type { Descriptor } from "../oci/descriptor.ts";
import { algorithmOf, createHasher, type Digest, encodedOf, finishDigest } from "../oci/digest.ts";
import { linkFile } from "./link.ts";

/** What is needed of a descriptor to find its content. */
export type BlobId = Pick<Descriptor, "digest" | "size">;

export class BlobDirectory {
  constructor(readonly root: string) {}

  /** Where unfinished work lies: leases, and working files named after them. */
  get partial(): string {
    return join(this.root, "partial");
  }

  path(digest: Digest): string {
    return join(this.root, "blobs", algorithmOf(digest), encodedOf(digest));
  }

  /** Whether the blob is here, with its size. */
  async has({ digest, size }: BlobId): Promise<boolean> {
    try {
      return (await stat(this.path(digest))).size === size;
    } catch (error) {
      if (isMissing(error)) return false;
      throw error;
    }
  }

  /**
   * Writes `chunks`, which are verified by whoever gives them and fail when they don't match, to
   * `working` and gives them the blob's final name when all are there and synced.
   */
  async write(
    blob: BlobId,
    chunks: AsyncIterable<Uint8Array>,
    working: string,
    onBytes: (count: number) => void = () => {},
  ): Promise<void> {
    const handle = await open(working, "wx", 0o444);
    try {
      await writeAll(handle, chunks, onBytes);
    } finally {
      await handle.close();
    }
    await this.adopt(blob.digest, working);
  }

  /** Gives a verified, synced file on the same file system the final name of a blob. */
  async adopt(digest: Digest, file: string): Promise<void> {
    const path = this.path(digest);
    await makeDirectory(dirname(path));
    await rename(file, path);
    await syncDirectory(dirname(path));
  }

  /**
   * Takes a verified file as a blob, without a second copy of the data where that can be, by way of
   * `working`, a path that nobody else uses.
   */
  async take(digest: Digest, file: string, working: string): Promise<void> {
    await linkFile(file, working, "copy");
    await this.adopt(digest, working);
  }
}

async function writeAll(
  handle: FileHandle,
  chunks: AsyncIterable<Uint8Array>,
  onBytes: (count: number) => void,
): Promise<void> {
  let position = 0;
  for await (const chunk of chunks) {
    await writeFully(handle, chunk, position);
    position += chunk.byteLength;
    onBytes(chunk.byteLength);
  }
  await handle.datasync();
}

/** Whether the content of a file has this digest. */
export async function matches(
  path: string,
  digest: Digest,
  signal?: AbortSignal,
): Promise<boolean> {
  return (await digestFile(path, algorithmOf(digest), signal)) === digest;
}

/** The digest of a file's content. */
export async function digestFile(
  path: string,
  algorithm = "sha256",
  signal?: AbortSignal,
  onBytes: (count: number) => void = () => {},
): Promise<Digest> {
  const hasher = createHasher(algorithm);
  const handle = await open(path, "r");
  try {
    // Most files of a cache are small, and a buffer is filled with zeros first.
    const { size } = await handle.stat();
    const buffer = new Uint8Array(Math.min(1024 * 1024, size + 1));
    for (;;) {
      signal?.throwIfAborted();
      const { bytesRead } = await handle.read(buffer, 0, buffer.byteLength);
      if (bytesRead === 0) return finishDigest(algorithm, hasher);
      hasher.update(buffer.subarray(0, bytesRead));
      onBytes(bytesRead);
    }
  } finally {
    await handle.close();
  }
}
