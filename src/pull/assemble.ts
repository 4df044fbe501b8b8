/** From verified blobs and unpacked archives to the files of a model, every file with its name. */
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { syncDirectory } from "../lib/durable.ts";
import { Failure } from "../lib/failure.ts";
import { PathSet } from "../model/path.ts";
import { isCompleteModel, isConsolidated } from "../model/planned-file.ts";
import { SAFETENSORS_INDEX } from "../model/shards.ts";
import type { BlobDirectory } from "./blobs.ts";
import { blobFile, type ModelFile, writeText } from "./model-file.ts";
import { isArchive } from "./unpack/unpack-layer.ts";
import type { Unpacking } from "./unpack/unpacking.ts";
import { checkIndex, missingIndex, nameWeights } from "./weight-names.ts";

/**
 * Gives every file its path.
 *
 * @param unpacking has received all blobs
 * @param blobs has those that are no archives
 * @param staging a directory of our own, for files that are written
 * @param isWhole whether nothing of the artifact was left out by choice
 * @throws {Failure} `content` when headers are hostile, paths contradict each other, or an index names
 *   shards that aren't there
 */
export async function prepareModel(
  unpacking: Unpacking,
  blobs: BlobDirectory,
  staging: string,
  isWhole: boolean,
): Promise<ModelFile[]> {
  const files = unpacking.recognised;
  const model = unpacking.modelFiles();
  for (const file of files) {
    const { descriptor, target } = file;
    if (target.kind !== "file" || isArchive(file)) continue;
    const { path, content } = target;
    if (content === undefined) model.push(blobFile(descriptor, path, blobs));
    else if (!model.some((file) => file.path === path)) {
      model.push(await writeText(path, content, staging));
    }
  }
  model.push(...(await nameWeights(files, model, blobs, staging)));
  const settled = withoutConsolidated(settle(model));
  const index = await missingIndex(settled);
  if (index !== undefined) settled.push(await writeText(SAFETENSORS_INDEX, index, staging));
  await checkIndex(settled, isWhole);
  return settled;
}

/** What a consolidated copy is among files that only unpacking shows: see plan.ts for the others. */
function withoutConsolidated(model: ModelFile[]): ModelFile[] {
  const paths = model.map(({ path }) => path);
  if (!paths.includes("config.json") || !isCompleteModel(paths)) return model;
  return model.filter(({ origin, path }) => origin !== "archive" || !isConsolidated(path));
}

/** Every path once; the same content twice under one path is one file. */
function settle(model: readonly ModelFile[]): ModelFile[] {
  const paths = new PathSet();
  const settled = new Map<string, ModelFile>();
  for (const file of model) {
    const earlier = settled.get(file.path);
    if (earlier?.digest === file.digest) continue;
    if (earlier) {
      throw new Failure(
        "content",
        `the artifact has two different files for the path ${JSON.stringify(file.path.slice(0, 200))}: ${earlier.digest} and ${file.digest}`,
      );
    }
    paths.addFile(file.path, "the artifact");
    settled.set(file.path, file);
  }
  return [...settled.values()];
}

/** Makes a whole tree's directories durable; files are synced when they are written. */
export async function syncTree(directory: string): Promise<void> {
  for (const entry of await readdir(directory, { withFileTypes: true })) {
    if (entry.isDirectory()) await syncTree(join(directory, entry.name));
  }
  await syncDirectory(directory);
}
