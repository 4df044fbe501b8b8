import { rename, stat } from "node:fs/promises";
import { dirname } from "node:path";
import { isMissing, makeDirectory, syncDirectory } from "../../lib/durable.ts";
import type { Digest } from "../../oci/digest.ts";
import { StorageError } from "../errors.ts";
import type { BlobContent, BlobStore } from "../store.ts";
import type { Layout } from "./layout.ts";
import { readLink, removeLink, touchLink, writeLink } from "./links.ts";

/** Blobs: content under `blobs/`, reached only through a repository's `_layers`. */
export class FilesystemBlobs implements BlobStore {
  constructor(private readonly layout: Layout) {}

  async openBlob(repository: string, digest: Digest): Promise<BlobContent> {
    const link = this.layout.layerLink(repository, digest);
    const target = await readLink(link);
    const content = target && (await this.content(target));
    if (!content) throw unknown(repository, digest);
    await touchLink(link);
    return content;
  }

  async linkBlob(repository: string, digest: Digest, from?: string): Promise<boolean> {
    const target =
      from === undefined ? digest : await readLink(this.layout.layerLink(from, digest));
    if (!target || !(await this.content(target))) return false;
    await writeLink(this.layout, this.layout.layerLink(repository, digest), target);
    return true;
  }

  async unlinkBlob(repository: string, digest: Digest): Promise<void> {
    const link = this.layout.layerLink(repository, digest);
    if (!(await removeLink(link))) throw unknown(repository, digest);
  }

  /** Whether the repository has the blob, bytes included. */
  async has(repository: string, digest: Digest): Promise<boolean> {
    const target = await readLink(this.layout.layerLink(repository, digest));
    return target !== undefined && (await this.content(target)) !== undefined;
  }

  /**
   * Takes the file at `path`, whose synced bytes were verified, as the content of `digest`. What
   * was there is replaced: a push mends a blob that the disk has damaged.
   */
  async adopt(path: string, digest: Digest): Promise<void> {
    const data = this.layout.blobData(digest);
    await makeDirectory(dirname(data));
    await rename(path, data);
    await syncDirectory(dirname(data));
  }

  private async content(digest: Digest): Promise<BlobContent | undefined> {
    const path = this.layout.blobData(digest);
    try {
      return { kind: "file", digest, path, size: (await stat(path)).size };
    } catch (error) {
      if (isMissing(error)) return undefined;
      throw error;
    }
  }
}

function unknown(repository: string, digest: Digest): StorageError {
  return new StorageError("BLOB_UNKNOWN", `no blob ${digest} in repository ${repository}`);
}
