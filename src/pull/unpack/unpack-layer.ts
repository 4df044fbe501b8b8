import type { PlannedFile, Target } from "../../model/planned-file.ts";
import { ArchiveReader } from "./archive.ts";
import { ContentFiles } from "./content-files.ts";
import { ImageLayerReader } from "./image-layer.ts";
import type { ImageEntry } from "./layer.ts";
import type { UnpackLimits } from "./limits.ts";
import { plainBytes, tarEntries, tarFailure } from "./tar-entries.ts";

/** A planned file that is unpacked: an archive, or a single file that is compressed. */
export interface PlannedArchive extends PlannedFile {
  readonly target: Extract<Target, { kind: "archive" | "image-layer" | "file" }>;
}

export function isArchive(file: PlannedFile): file is PlannedArchive {
  const { target } = file;
  if (target.kind === "file") return (target.compression ?? "none") !== "none";
  return target.kind === "archive" || target.kind === "image-layer";
}

export interface UnpackOptions {
  readonly limits: UnpackLimits;
  /** Bytes that may be written. */
  readonly maxBytes: number;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Unpacks an archive, which comes from a stranger: the contents of its files into `directory`, each
 * under its number, and their names into the list that is returned. Contents are synced, the
 * directory isn't.
 *
 * @param path of the blob, which was verified
 * @param directory empty, and nobody else's
 * @throws {Failure} `content` when it is hostile, malformed, or not what its `diffId` says
 */
export async function unpackLayer(
  file: PlannedArchive,
  path: string,
  directory: string,
  { limits, maxBytes, signal }: UnpackOptions,
): Promise<readonly ImageEntry[]> {
  const { descriptor, target, diffId } = file;
  const { digest } = descriptor;
  const source = sourceOf(file);
  await using contents = new ContentFiles(directory, maxBytes, source);
  const archive = { path, digest, compression: target.compression ?? "none", diffId, source };
  if (target.kind === "file") {
    const content = await contents.write(plainBytes(archive, limits, signal), false);
    await contents.finish();
    return [{ kind: "file", path: target.path, ...content }];
  }
  const reader =
    target.kind === "archive"
      ? new ArchiveReader(contents, source, target.within)
      : new ImageLayerReader(contents, source);
  try {
    for await (const entry of tarEntries(archive, limits, signal)) await reader.add(entry);
  } catch (error) {
    signal?.throwIfAborted();
    throw tarFailure(error, source);
  }
  await contents.finish();
  return reader.entries;
}

/** What an archive is called in messages. */
export function sourceOf({ descriptor }: PlannedFile): string {
  return `the layer ${descriptor.digest}`;
}
