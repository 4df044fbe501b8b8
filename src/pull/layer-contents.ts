/**
 * Which files the layers of an artifact hold, found out where they are: the names of weights from
 * their headers, those in archives from the headers of these. Nothing is fetched whole.
 */
import { Failure } from "../lib/failure.ts";
import { mapConcurrently } from "../lib/pool.ts";
import { checkedFilePath } from "../model/path.ts";
import { type PlannedFile, shardsOf, type Target } from "../model/planned-file.ts";
import {
  MAX_INDEX,
  nameGguf,
  nameShards,
  parseWeightMap,
  SAFETENSORS_INDEX,
  shardOf,
} from "../model/shards.ts";
import { OutOfReach } from "./blob-reader.ts";
import { openedWhenRead } from "./partial-readers.ts";
import type { RangeReader } from "./range-reader.ts";
import { type ListedFile, listTar } from "./tar-listing.ts";
import { recognised } from "./unnamed.ts";
import { ggufHeadIn, safetensorsHeaderIn } from "./weight-headers.ts";

/**
 * The files of a planned file's layer; none when it is left out. It isn't in the map when they can't be
 * told without fetching all of it: what is compressed, layers of images; nor are all of thousands of archives.
 */
export type LayerContents = ReadonlyMap<PlannedFile, readonly ListedFile[]>;

export interface ReadContentsOptions {
  /** Where the content of a file's layer can be read in parts. */
  readonly open: (file: PlannedFile) => Promise<RangeReader>;
  /** Whether to go on without what couldn't be told; else the error is thrown. */
  readonly tolerates: (error: unknown) => boolean;
  /** Bytes of an index that is read. @default as many as are ever read into memory */
  readonly maxIndex?: number;
}

/** Layers that are read at a time. */
const READS = 8;
/** Files that are listed in all archives, before the next ones are left unread. */
const MOST_LISTED = 100_000;

/** The files with every unnamed layer as what its first bytes say that it is, where they do. */
export function recogniseAll(
  planned: readonly PlannedFile[],
  open: ReadContentsOptions["open"],
  tolerates: ReadContentsOptions["tolerates"],
): Promise<PlannedFile[]> {
  return mapConcurrently(planned, READS, async (file) => {
    if (file.target.kind !== "unnamed") return file;
    try {
      return await recognised(file, await open(file));
    } catch (error) {
      // Whoever has it whole will say what is wrong with it.
      if (tolerates(error) || (error instanceof Failure && error.kind === "content")) return file;
      throw error;
    }
  });
}

export async function readContents(
  planned: readonly PlannedFile[],
  { open, tolerates, maxIndex = MAX_INDEX }: ReadContentsOptions,
): Promise<LayerContents> {
  const files = new Map<PlannedFile, readonly ListedFile[]>();
  const tolerantly = async (work: () => Promise<void>) => {
    try {
      await work();
    } catch (error) {
      if (!tolerates(error)) throw error;
    }
  };
  let left = MOST_LISTED;
  await mapConcurrently(planned, READS, (file) =>
    tolerantly(async () => {
      if (file.target.kind === "archive" && left <= 0) return;
      const listed = await listLayer(file, open);
      if (!listed) return;
      files.set(file, listed);
      left -= listed.length;
    }),
  );
  const known = [...files.values()].flat();
  const index = known.find(({ path }) => path === SAFETENSORS_INDEX);
  const safetensors = shardsOf(planned, "safetensors");
  // An archive that nobody can look into may have the index.
  const isTold = index !== undefined || planned.every((file) => isNamed(file, files));
  if (safetensors.length > 0 && isTold) {
    await tolerantly(async () => {
      const names = await nameSafetensors(safetensors, index, open, maxIndex);
      for (const [file, listed] of names) files.set(file, listed);
    });
  }
  const gguf = shardsOf(planned, "gguf");
  await tolerantly(async () => {
    for (const [file, listed] of await nameGgufLayers(gguf, open)) files.set(file, listed);
  });
  return files;
}

type Open = ReadContentsOptions["open"];
type Named = readonly (readonly [PlannedFile, readonly ListedFile[]])[];

async function listLayer(
  file: PlannedFile,
  open: Open,
): Promise<readonly ListedFile[] | undefined> {
  const { descriptor, target } = file;
  if (target.kind === "file") return [fileOf(file, target, open)];
  if (target.kind !== "archive" || target.compression !== "none") return undefined;
  const source = `the layer ${descriptor.digest}`;
  const entries = await listTar(await open(file), source);
  const within = target.within === undefined ? "" : `${target.within}/`;
  const outside = entries?.find(({ path }) => !path.startsWith(within));
  if (outside) {
    throw new Failure("content", `${source} has ${JSON.stringify(outside.path)} outside ${within}`);
  }
  const { into } = target;
  if (into === undefined) return entries;
  return entries?.map((entry) => ({
    ...entry,
    path: checkedFilePath(`${into}/${entry.path}`, source),
  }));
}

function fileOf(
  file: PlannedFile,
  { path, compression = "none", content }: Extract<Target, { kind: "file" }>,
  open: Open,
): ListedFile {
  if (content !== undefined) return { path, ...memoryReader(content) };
  if (compression === "none") return wholeLayer(file, path, open);
  // Its size is that of the blob.
  const read = () => Promise.reject(new OutOfReach());
  return { path, size: file.descriptor.size, content: { size: file.descriptor.size, read } };
}

function memoryReader(text: string): Pick<ListedFile, "size" | "content"> {
  const bytes = Buffer.from(text);
  const size = bytes.byteLength;
  return { size, content: { size, read: async (start, end) => bytes.subarray(start, end) } };
}

function wholeLayer(file: PlannedFile, path: string, open: Open): ListedFile {
  const { size } = file.descriptor;
  return { path, size, content: openedWhenRead(size, () => open(file)) };
}

function isNamed(file: PlannedFile, files: LayerContents): boolean {
  return file.target.kind === "shard" || files.has(file);
}

async function nameSafetensors(
  shards: readonly PlannedFile[],
  index: ListedFile | undefined,
  open: Open,
  maxIndex: number,
): Promise<Named> {
  const headers = await mapConcurrently(shards, READS, async (file) => {
    const source = `the layer ${file.descriptor.digest}`;
    return shardOf(await safetensorsHeaderIn(await open(file), source));
  });
  if (index && index.size > maxIndex) {
    throw new Failure("content", `${SAFETENSORS_INDEX} of the artifact has ${index.size} bytes`);
  }
  const weightMap = index && parseWeightMap(await index.content.read(0, index.size));
  const { names } = nameShards(headers, weightMap);
  return shards.map((file, i) => {
    const name = names[i];
    if (name === undefined) return [file, []];
    return [file, [wholeLayer(file, checkedFilePath(name, "the index"), open)]];
  });
}

async function nameGgufLayers(layers: readonly PlannedFile[], open: Open): Promise<Named> {
  const heads = await mapConcurrently(layers, READS, async (file) =>
    ggufHeadIn(await open(file), `the layer ${file.descriptor.digest}`),
  );
  const names = nameGguf(heads);
  return layers.map((file, i) => [file, [wholeLayer(file, names[i] ?? "", open)]]);
}
