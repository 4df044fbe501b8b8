/** Gives weight files the names that only their headers tell, and shards an index. */
import { Failure } from "../lib/failure.ts";
import type { GgufHead } from "../model/gguf.ts";
import { checkedFilePath } from "../model/path.ts";
import { completeShards, type PlannedFile, shardsOf } from "../model/planned-file.ts";
import {
  indexOf,
  MAX_INDEX,
  nameGguf,
  nameShards,
  parseWeightMap,
  SAFETENSORS_INDEX,
  type Shard,
  shardOf,
} from "../model/shards.ts";
import type { BlobDirectory } from "./blobs.ts";
import { blobFile, type ModelFile, writeText } from "./model-file.ts";
import { readGgufHead, readSafetensorsHeader } from "./weight-headers.ts";

/**
 * The weight layers among `files` whose names only their headers tell, and an index of them if that
 * is what makes the names right.
 *
 * @param model the other files, an index among them if there is one
 * @throws {Failure} `content` when the headers are invalid or don't fit each other
 */
export async function nameWeights(
  files: readonly PlannedFile[],
  model: readonly ModelFile[],
  blobs: BlobDirectory,
  staging: string,
): Promise<ModelFile[]> {
  return [
    ...(await nameSafetensors(shardsOf(files, "safetensors"), model, blobs, staging)),
    ...(await nameGgufLayers(shardsOf(files, "gguf"), blobs)),
  ];
}

/**
 * The index that transformers wants beside shards, when the artifact has none. Other loaders do
 * without, so that shards which can't be read are no reason to fail.
 */
export async function missingIndex(model: readonly ModelFile[]): Promise<string | undefined> {
  const files = new Map(model.map((file) => [file.path, file]));
  const names = completeShards([...files.keys()]);
  const isNeeded = files.has("config.json") && !files.has("model.safetensors");
  if (names.length < 2 || !isNeeded || files.has(SAFETENSORS_INDEX)) return undefined;
  try {
    const shards: Shard[] = [];
    for (const name of names) shards.push(await readShard(files.get(name)?.source ?? "", name));
    return indexOf(shards, names);
  } catch (error) {
    if (error instanceof Failure && error.kind === "content") return undefined;
    throw error;
  }
}

/**
 * Checks the index that loaders will follow.
 *
 * @param isWhole whether nothing of the artifact was left out by choice
 * @throws {Failure} `content` when it is malformed, names files outside the model, or some shards that
 *   are there and others that aren't
 */
export async function checkIndex(model: readonly ModelFile[], isWhole: boolean): Promise<void> {
  const index = model.find(({ path }) => path === SAFETENSORS_INDEX);
  if (!index) return;
  const names = new Set((await readWeightMap(index)).values());
  const paths = new Set(model.map(({ path }) => path));
  // An index may be left over from before the weights were put into other files.
  if (!isWhole || paths.has("model.safetensors") || names.isDisjointFrom(paths)) return;
  const [missing] = names.difference(paths);
  if (missing === undefined) return;
  throw new Failure(
    "content",
    `${SAFETENSORS_INDEX} (${index.digest}) names the shard ${JSON.stringify(missing.slice(0, 200))}, which the artifact doesn't have`,
  );
}

async function readShard(path: string, source: string): Promise<Shard> {
  return shardOf(await readSafetensorsHeader(path, source));
}

async function nameSafetensors(
  layers: readonly PlannedFile[],
  model: readonly ModelFile[],
  blobs: BlobDirectory,
  staging: string,
): Promise<ModelFile[]> {
  if (layers.length === 0) return [];
  const shards: Shard[] = [];
  for (const { descriptor } of layers) {
    shards.push(await readShard(blobs.path(descriptor.digest), `the layer ${descriptor.digest}`));
  }
  const index = model.find(({ path }) => path === SAFETENSORS_INDEX);
  const { names, index: written } = nameShards(shards, index && (await readWeightMap(index)));
  const named = layers.flatMap(({ descriptor }, i) => {
    const path = names[i];
    return path === undefined
      ? []
      : [blobFile(descriptor, checkedFilePath(path, "the index"), blobs)];
  });
  return written === undefined
    ? named
    : [...named, await writeText(SAFETENSORS_INDEX, written, staging)];
}

async function readWeightMap({ source, size }: ModelFile): Promise<Map<string, string>> {
  if (size > MAX_INDEX) {
    throw new Failure("content", `${SAFETENSORS_INDEX} of the artifact has ${size} bytes`);
  }
  return parseWeightMap(await Bun.file(source).bytes());
}

async function nameGgufLayers(
  layers: readonly PlannedFile[],
  blobs: BlobDirectory,
): Promise<ModelFile[]> {
  const heads: GgufHead[] = [];
  for (const { descriptor } of layers) {
    const source = `the layer ${descriptor.digest}`;
    heads.push(await readGgufHead(blobs.path(descriptor.digest), source));
  }
  const names = nameGguf(heads);
  return layers.map(({ descriptor }, i) => blobFile(descriptor, names[i] ?? "", blobs));
}
