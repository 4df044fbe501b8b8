import { readdir, rm, stat } from "node:fs/promises";
import { makeDirectory } from "../../lib/durable.ts";
import type { Store } from "../store.ts";
import { FilesystemBlobs } from "./blobs.ts";
import { Layout } from "./layout.ts";
import { FilesystemManifests } from "./manifests.ts";
import { FilesystemUploads } from "./uploads.ts";

/** Milliseconds after which an unfinished temporary file is nobody's. */
const abandoned = 24 * 60 * 60 * 1000;

export interface FilesystemStoreOptions {
  /**
   * Whether nobody will write by way of this store: then opening it doesn't either, and the root may
   * be on a read-only disk.
   *
   * @default false
   */
  readonly readOnly?: boolean;
}

/**
 * Opens the store in the directory `root`, which may be new, or one that registry:2 or registry:3
 * wrote. Several processes may have the same root open.
 */
export async function openFilesystemStore(
  root: string,
  { readOnly = false }: FilesystemStoreOptions = {},
): Promise<Store> {
  const layout = new Layout(root);
  if (!readOnly) {
    await makeDirectory(layout.repositories);
    await makeDirectory(layout.blobs);
    await makeDirectory(layout.temporary);
    await removeAbandoned(layout.temporary);
  }

  const blobs = new FilesystemBlobs(layout);
  const manifests = new FilesystemManifests(layout, blobs);
  const uploads = new FilesystemUploads(layout, blobs);
  return {
    openBlob: blobs.openBlob.bind(blobs),
    linkBlob: blobs.linkBlob.bind(blobs),
    unlinkBlob: blobs.unlinkBlob.bind(blobs),
    getManifest: manifests.getManifest.bind(manifests),
    putManifest: manifests.putManifest.bind(manifests),
    deleteManifest: manifests.deleteManifest.bind(manifests),
    listTags: manifests.listTags.bind(manifests),
    listReferrers: manifests.listReferrers.bind(manifests),
    listRepositories: manifests.listRepositories.bind(manifests),
    createUpload: uploads.createUpload.bind(uploads),
    appendUpload: uploads.appendUpload.bind(uploads),
    uploadStatus: uploads.uploadStatus.bind(uploads),
    completeUpload: uploads.completeUpload.bind(uploads),
    cancelUpload: uploads.cancelUpload.bind(uploads),
  };
}

/** What a crash left behind. Another process may be at work on what is younger. */
async function removeAbandoned(directory: string): Promise<void> {
  for (const name of await readdir(directory)) {
    const path = `${directory}/${name}`;
    const modified = await stat(path).then(
      ({ mtimeMs }) => mtimeMs,
      () => Date.now(),
    );
    if (Date.now() - modified > abandoned) await rm(path, { recursive: true, force: true });
  }
}
