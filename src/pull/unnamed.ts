/** Layers that nothing names: their first bytes say what they are. */
import { Failure } from "../lib/failure.ts";
import type { PlannedFile, Target } from "../model/planned-file.ts";
import { SNIFF_LENGTH, sniff } from "../model/sniff.ts";
import type { RangeReader } from "./range-reader.ts";

/** What an unnamed layer is when it isn't a weight file. */
const archive: Target = { kind: "archive", role: "content", compression: "none" };

/** The file as what it is if it is an archive; undefined when it isn't unnamed. */
export function asArchive(file: PlannedFile): PlannedFile | undefined {
  return file.target.kind === "unnamed" ? { ...file, target: archive } : undefined;
}

/**
 * The file as what its content is, when it is unnamed.
 *
 * @param content of its blob
 * @throws {Failure} `content` for a layer that is neither a weight file nor an archive
 */
export async function recognised(file: PlannedFile, content: RangeReader): Promise<PlannedFile> {
  if (file.target.kind !== "unnamed") return file;
  const { digest, mediaType } = file.descriptor;
  const kind = sniff(await content.read(0, SNIFF_LENGTH));
  if (kind === undefined) {
    throw new Failure(
      "content",
      `the layer ${digest} has no name, and its content is neither safetensors nor GGUF nor a tar archive: leave it out with --exclude ${JSON.stringify(mediaType)}`,
    );
  }
  return kind === "tar"
    ? { ...file, target: archive }
    : { ...file, target: { kind: "shard", encoding: kind } };
}
