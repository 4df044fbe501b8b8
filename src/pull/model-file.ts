/** A file of a model while the model is put together. */
import { mkdir } from "node:fs/promises";
import { dirname, join } from "node:path";
import { writeSynced } from "../lib/durable.ts";
import type { Descriptor } from "../oci/descriptor.ts";
import { type Digest, digestOf } from "../oci/digest.ts";
import type { BlobDirectory } from "./blobs.ts";

export interface ModelFile {
  /** Relative to the model's root, checked. */
  readonly path: string;
  /** Absolute. */
  readonly source: string;
  /** Bytes. */
  readonly size: number;
  readonly digest: Digest;
  /** A blob, which others may use too, or a file that was made for this model alone. */
  readonly origin: "blob" | "config-archive" | "archive" | "written";
}

/** The file that a blob is, as it lies there. */
export function blobFile(
  { digest, size }: Pick<Descriptor, "digest" | "size">,
  path: string,
  blobs: BlobDirectory,
): ModelFile {
  return { path, source: blobs.path(digest), size, digest, origin: "blob" };
}

/** Writes a file that the artifact lacks into `staging`; its content is synced. */
export async function writeText(
  path: string,
  content: string,
  staging: string,
): Promise<ModelFile> {
  const bytes = Buffer.from(content);
  const source = join(staging, "written", path);
  await mkdir(dirname(source), { recursive: true });
  await writeSynced(source, bytes);
  return { path, source, size: bytes.byteLength, digest: digestOf(bytes), origin: "written" };
}
