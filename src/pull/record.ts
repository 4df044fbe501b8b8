/** `oci_metadata.json`: what a view or an output directory holds. */
import { randomBytes } from "node:crypto";
import { stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { type Static, Type } from "@sinclair/typebox";
import { TypeCompiler } from "@sinclair/typebox/compiler";
import { isMissing, writeFileDurably } from "../lib/durable.ts";
import { readSmallFile } from "../lib/small-file.ts";
import { checkedFilePath } from "../model/path.ts";
import type { Plan } from "../model/plan.ts";
import type { PlannedFile } from "../model/planned-file.ts";
import { DigestText } from "../oci/descriptor.ts";
import type { Artifact } from "./artifact.ts";
import type { ModelFile } from "./model-file.ts";

const Schema = Type.Object({
  /** Of the manifest. */
  digest: DigestText,
  mediaType: Type.String(),
  /** Any text: a later version of this program may know more formats, over the same cache. */
  format: Type.String(),
  /** Whether all layers of the manifest are here; false after `--include` and `--exclude`. */
  complete: Type.Boolean(),
  /** The layers that are here. */
  layers: Type.Array(DigestText),
  /** The files of the model; sizes in bytes. */
  files: Type.Array(
    Type.Object({ path: Type.String(), size: Type.Integer({ minimum: 0 }), digest: DigestText }),
  ),
  /** The names of files in layers of which the manifest doesn't tell them, where they are known. */
  contents: Type.Optional(Type.Record(Type.String(), Type.Array(Type.String()))),
});
export type ModelRecord = Static<typeof Schema>;

const checker = TypeCompiler.Compile(Schema);

export const RECORD_NAME = "oci_metadata.json";

/** Bytes: 100 000 files with long names fit. */
const MAX_SIZE = 64 * 1024 * 1024;

/** The record at `path`; undefined when there is none that can be read. */
export async function readRecord(path: string): Promise<ModelRecord | undefined> {
  const content = await readSmallFile(path, MAX_SIZE);
  if (!content) return undefined;
  try {
    const json: unknown = JSON.parse(content.toString());
    if (!checker.Check(json)) return undefined;
    for (const file of json.files) checkedFilePath(file.path, RECORD_NAME);
    for (const path of Object.values(json.contents ?? {}).flat()) {
      checkedFilePath(path, RECORD_NAME);
    }
    return json;
  } catch {
    return undefined;
  }
}

export async function writeRecord(path: string, record: ModelRecord): Promise<void> {
  const temporary = join(dirname(path), `.${RECORD_NAME}.${randomBytes(8).toString("hex")}`);
  await writeFileDurably(path, `${JSON.stringify(record, null, 2)}\n`, temporary);
}

/** Whether every file of a record is in `directory`, with its size. */
export async function isIntact(record: ModelRecord, directory: string): Promise<boolean> {
  for (const { path, size } of record.files) {
    if ((await sizeOf(join(directory, path))) !== size) return false;
  }
  return true;
}

/** Whether all `files` of a plan are in a record: by path, or by digest where that names no path. */
export function covers(
  { layers, files: present }: Pick<ModelRecord, "layers" | "files">,
  files: readonly PlannedFile[],
): boolean {
  const digests = new Set(layers);
  const paths = new Set(present.map(({ path }) => path));
  return files.every(({ descriptor, target, only }) => {
    if (target.kind === "file") return paths.has(target.path);
    return digests.has(descriptor.digest) || (only?.isSubsetOf(paths) ?? false);
  });
}

/**
 * What is held of an artifact when `model` is there, made of `files` of its plan.
 *
 * @param old what was held before, and stays
 */
export function recordOf(
  { digest, manifest }: Pick<Artifact, "digest" | "manifest">,
  plan: Plan,
  files: readonly PlannedFile[],
  model: readonly ModelFile[],
  old?: ModelRecord,
): ModelRecord {
  // Of an archive that is taken in part, the files alone say so.
  const whole = files.filter(({ only }) => !only).map(({ descriptor }) => descriptor.digest);
  const layers = new Set([...(old?.layers ?? []), ...whole]);
  const entries = new Map((old?.files ?? []).map((file) => [file.path, file]));
  for (const { path, size, digest: content } of model) {
    entries.set(path, { path, size, digest: content });
  }
  const held = { layers: [...layers], files: [...entries.values()] };
  return {
    digest,
    mediaType: manifest.mediaType,
    format: plan.format,
    complete: covers(held, plan.files),
    ...held,
    ...knownContents(plan, old),
  };
}

/** What a plan and an earlier record know of the names in layers. */
function knownContents(
  { contents = new Map() }: Plan,
  old: ModelRecord | undefined,
): Pick<ModelRecord, "contents"> {
  const known = { ...old?.contents };
  for (const [digest, paths] of contents) known[digest] = [...paths];
  return Object.keys(known).length > 0 ? { contents: known } : {};
}

/** Bytes of a file, undefined when it is missing. */
export async function sizeOf(path: string): Promise<number | undefined> {
  try {
    return (await stat(path)).size;
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}
