/** Unpacking one archive on its own. */
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Digest, digestOf } from "../../../src/oci/digest.ts";
import type { FileEntry, ImageEntry } from "../../../src/pull/unpack/layer.ts";
import { DEFAULT_LIMITS, type UnpackLimits } from "../../../src/pull/unpack/limits.ts";
import { type PlannedArchive, unpackLayer } from "../../../src/pull/unpack/unpack-layer.ts";
import { temporaryDirectory } from "../../support/temp.ts";

export interface UnpackingOptions extends Partial<UnpackLimits> {
  readonly diffId?: Digest;
}

export interface Unpacked {
  /** The directory with the file `archive`, the directory `out` and nothing else. */
  readonly place: string;
  /** Where contents go. */
  readonly out: string;
  readonly done: Promise<readonly ImageEntry[]>;
  /** Paths with their contents as text. */
  files(): Promise<Record<string, string>>;
}

/** Begins to unpack an archive in a place where nothing else is. */
export function unpackBytes(
  archive: Uint8Array,
  target: PlannedArchive["target"],
  { diffId, ...limits }: UnpackingOptions = {},
): Unpacked {
  const place = temporaryDirectory();
  const out = join(place, "out");
  mkdirSync(out);
  writeFileSync(join(place, "archive"), archive);
  const all = { ...DEFAULT_LIMITS, ...limits };
  const done = unpackLayer(plannedArchive(archive, target, diffId), join(place, "archive"), out, {
    limits: all,
    maxBytes: all.maxUnpackedSize,
  });
  const files = async () =>
    Object.fromEntries(
      (await done)
        .filter((entry): entry is FileEntry => entry.kind === "file")
        .map(({ path, number }) => [path, readFileSync(join(out, String(number)), "utf8")]),
    );
  return { place, out, done, files };
}

export function plannedArchive(
  archive: Uint8Array,
  target: PlannedArchive["target"],
  diffId?: Digest,
): PlannedArchive {
  const digest = digestOf(archive);
  const descriptor = { mediaType: "application/octet-stream", digest, size: archive.byteLength };
  return { descriptor, target, ...(diffId && { diffId }) };
}
