/** From verified blobs and unpacked archives to the files of a model, every file with its name. */
import { mkdir, open, readdir } from "node:fs/promises";
import { dirname, join } from "node:path";
import { syncDirectory, writeFully } from "../lib/durable.ts";
import { Failure } from "../lib/failure.ts";
import { checkedFilePath, PathSet } from "../model/path.ts";
import type { PlannedFile } from "../model/planned-file.ts";
import { nameGgufShards, nameShards, parseWeightMap, SAFETENSORS_INDEX } from "../model/shards.ts";
import { type Digest, digestOf } from "../oci/digest.ts";
import type { BlobDirectory } from "./blobs.ts";
import { readGgufHead, readSafetensorsHeader } from "./weight-headers.ts";

/** A file of the model, and where its content lies now. */
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

/** Bytes of an index that is read into memory: a million tensors fit. */
const MAX_INDEX = 128 * 1024 * 1024;

/**
 * Gives every file its path.
 *
 * @param unpacked the files of all archives
 * @param blobs has the blobs of all other `files`
 * @param staging a directory of our own, for files that are written
 * @throws {Failure} `content` when headers are hostile, or paths contradict each other
 */
export async function prepareModel(
  files: readonly PlannedFile[],
  unpacked: readonly ModelFile[],
  blobs: BlobDirectory,
  staging: string,
): Promise<ModelFile[]> {
  const model = [...unpacked];
  for (const { descriptor, target } of files) {
    if (target.kind === "file") model.push(blobFile(descriptor, target.path, blobs));
  }
  model.push(...(await nameSafetensors(ofEncoding(files, "safetensors"), model, blobs, staging)));
  model.push(...(await nameGguf(ofEncoding(files, "gguf"), blobs)));
  return settle(model);
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
        `the artifact has two different files for the path ${JSON.stringify(file.path)}: ${earlier.digest} and ${file.digest}`,
      );
    }
    paths.addFile(file.path, "the artifact");
    settled.set(file.path, file);
  }
  return [...settled.values()];
}

function ofEncoding(
  files: readonly PlannedFile[],
  encoding: "safetensors" | "gguf",
): PlannedFile["descriptor"][] {
  const matching = files.filter(
    ({ target }) => target.kind === "shard" && target.encoding === encoding,
  );
  // A layer that stands there twice is one file.
  return [...new Map(matching.map(({ descriptor }) => [descriptor.digest, descriptor])).values()];
}

function blobFile(
  { digest, size }: PlannedFile["descriptor"],
  path: string,
  blobs: BlobDirectory,
): ModelFile {
  return { path, source: blobs.path(digest), size, digest, origin: "blob" };
}

async function nameSafetensors(
  layers: readonly PlannedFile["descriptor"][],
  model: readonly ModelFile[],
  blobs: BlobDirectory,
  staging: string,
): Promise<ModelFile[]> {
  if (layers.length === 0) return [];
  const shards: { tensors: string[]; dataLength: number }[] = [];
  for (const { digest } of layers) {
    const header = await readSafetensorsHeader(blobs.path(digest), `the layer ${digest}`);
    shards.push({ tensors: [...header.tensors.keys()], dataLength: header.dataLength });
  }
  const index = model.find(({ path }) => path === SAFETENSORS_INDEX);
  const { names, index: written } = nameShards(shards, index && (await readWeightMap(index)));
  const named = layers.flatMap((descriptor, i) => {
    const path = names[i];
    return path === undefined
      ? []
      : [blobFile(descriptor, checkedFilePath(path, "the index"), blobs)];
  });
  return written === undefined ? named : [...named, await writeIndex(written, staging)];
}

async function readWeightMap({ source, size }: ModelFile): Promise<Map<string, string>> {
  if (size > MAX_INDEX) {
    throw new Failure("content", `${SAFETENSORS_INDEX} of the artifact has ${size} bytes`);
  }
  return parseWeightMap(await Bun.file(source).bytes());
}

async function writeIndex(content: string, staging: string): Promise<ModelFile> {
  const bytes = Buffer.from(content);
  const source = join(staging, "written", SAFETENSORS_INDEX);
  await mkdir(dirname(source), { recursive: true });
  const handle = await open(source, "wx", 0o644);
  try {
    await writeFully(handle, bytes, 0);
    await handle.datasync();
  } finally {
    await handle.close();
  }
  const size = bytes.byteLength;
  return { path: SAFETENSORS_INDEX, source, size, digest: digestOf(bytes), origin: "written" };
}

async function nameGguf(
  layers: readonly PlannedFile["descriptor"][],
  blobs: BlobDirectory,
): Promise<ModelFile[]> {
  const named: ModelFile[] = [];
  const splits: { no: number; count: number }[] = [];
  const shards: PlannedFile["descriptor"][] = [];
  for (const descriptor of layers) {
    const source = `the layer ${descriptor.digest}`;
    const { values } = await readGgufHead(blobs.path(descriptor.digest), source);
    if (values.get("general.architecture") === "clip") {
      named.push(blobFile(descriptor, "model.mmproj", blobs));
      continue;
    }
    shards.push(descriptor);
    splits.push({ no: Number(values.get("split.no")), count: Number(values.get("split.count")) });
  }
  const names = shards.length === 1 ? ["model.gguf"] : nameGgufShards(splits);
  return [...named, ...shards.map((shard, i) => blobFile(shard, names[i] ?? "", blobs))];
}

/** Makes a whole tree's directories durable; files are synced when they are written. */
export async function syncTree(directory: string): Promise<void> {
  for (const entry of await readdir(directory, { withFileTypes: true })) {
    if (entry.isDirectory()) await syncTree(join(directory, entry.name));
  }
  await syncDirectory(directory);
}
