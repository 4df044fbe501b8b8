/**
 * Which name each weight file gets when the manifest gives none: only the files' own headers tell.
 */
import { Failure } from "../lib/failure.ts";
import { type GgufHead, isProjector } from "./gguf.ts";
import { parseJson } from "./json.ts";
import { checkedFilePath } from "./path.ts";
import type { SafetensorsHeader } from "./safetensors.ts";

export const SAFETENSORS_INDEX = "model.safetensors.index.json";
/** Bytes of an index that is read into memory: a million tensors fit. */
export const MAX_INDEX = 128 * 1024 * 1024;

/** What a layer's own header says. */
export interface Shard {
  /** Names of the tensors. */
  readonly tensors: readonly string[];
  /** Bytes of tensor data. */
  readonly dataLength: number;
}

export function shardOf({ tensors, dataLength }: SafetensorsHeader): Shard {
  return { tensors: [...tensors.keys()], dataLength };
}

export interface NamedShards {
  /** One a shard; undefined for a shard to leave out. */
  readonly names: readonly (string | undefined)[];
  /** The content of an index to write as {@link SAFETENSORS_INDEX}, when there was none. */
  readonly index?: string;
}

/**
 * Names safetensors layers. With a weight map, a layer is the file whose tensors it has; one that
 * has tensors of no file or of several is a consolidated copy and is left out. Without, the layers
 * are shards in their order.
 *
 * @param weightMap tensor to file, of the index in the configuration archive
 * @throws {Failure} `content` when the layers aren't the files of the map, or share a tensor
 */
export function nameShards(
  shards: readonly Shard[],
  weightMap: ReadonlyMap<string, string> | undefined,
): NamedShards {
  if (weightMap) return { names: matchShards(shards, weightMap) };
  if (shards.length === 1) return { names: ["model.safetensors"] };
  const names = shards.map((_, index) =>
    shardName("model", index + 1, shards.length, "safetensors"),
  );
  return { names, index: indexOf(shards, names) };
}

/**
 * An index of shards that have `names`, in their order.
 *
 * @throws {Failure} `content` when two of them share a tensor
 */
export function indexOf(shards: readonly Shard[], names: readonly string[]): string {
  const files = new Map<string, string>();
  for (const [index, { tensors }] of shards.entries()) {
    for (const tensor of tensors) {
      if (files.has(tensor)) throw twice(tensor);
      files.set(tensor, names[index] ?? "");
    }
  }
  const totalSize = shards.reduce((sum, shard) => sum + shard.dataLength, 0);
  const index = { metadata: { total_size: totalSize }, weight_map: Object.fromEntries(files) };
  return `${JSON.stringify(index, null, 2)}\n`;
}

function matchShards(
  shards: readonly Shard[],
  weightMap: ReadonlyMap<string, string>,
): (string | undefined)[] {
  const taken = new Set<string>();
  const names = shards.map((shard) => {
    const files = new Set(shard.tensors.map((tensor) => weightMap.get(tensor)));
    files.delete(undefined);
    const [file] = files;
    if (files.size !== 1 || file === undefined) return undefined;
    if (taken.has(file)) throw mismatch(`two layers have tensors of ${JSON.stringify(file)}`);
    taken.add(file);
    return file;
  });
  const missing = [...weightMap.values()].find((file) => !taken.has(file));
  if (missing !== undefined)
    throw mismatch(`no layer has the tensors of ${JSON.stringify(missing)}`);
  return names;
}

/**
 * Names GGUF layers: a projector, the only other one, or the shards of one model.
 *
 * @throws {Failure} as {@link nameGgufShards}
 */
export function nameGguf(heads: readonly Pick<GgufHead, "values">[]): string[] {
  const shards = heads.filter((head) => !isProjector(head));
  const splits = shards.map(({ values }) => ({
    no: Number(values.get("split.no")),
    count: Number(values.get("split.count")),
  }));
  const names = shards.length === 1 ? ["model.gguf"] : nameGgufShards(splits);
  let next = 0;
  return heads.map((head) => (isProjector(head) ? "model.mmproj" : (names[next++] ?? "")));
}

/**
 * Names GGUF layers by the `split.no` (from 0) and `split.count` of their headers, whatever their
 * order.
 *
 * @throws {Failure} `content` when they aren't the shards 1 to n of one model
 */
export function nameGgufShards(
  splits: readonly { readonly no: number; readonly count: number }[],
): string[] {
  const seen = new Set(splits.map(({ no }) => no));
  const complete = splits.every(
    ({ no, count }) => count === splits.length && Number.isInteger(no) && no >= 0 && no < count,
  );
  if (!complete || seen.size !== splits.length) {
    throw new Failure(
      "content",
      `the ${splits.length} GGUF layers aren't the shards 1 to ${splits.length} of one model, and the manifest doesn't name them`,
    );
  }
  return splits.map(({ no, count }) => shardName("model", no + 1, count, "gguf"));
}

/** `model-00001-of-00002.safetensors`; `number` counts from 1. */
export function shardName(
  stem: string,
  number: number,
  count: number,
  extension: "safetensors" | "gguf",
): string {
  const pad = (value: number) => String(value).padStart(5, "0");
  return `${stem}-${pad(number)}-of-${pad(count)}.${extension}`;
}

/**
 * Reads the `weight_map` of a safetensors index: tensor to file.
 *
 * @throws {Failure} `content` when it isn't one, or names files outside the model
 */
export function parseWeightMap(json: Uint8Array): Map<string, string> {
  const fail = (reason: string) =>
    new Failure("content", `${SAFETENSORS_INDEX} isn't a valid index: ${reason}`);
  let index: unknown;
  try {
    index = parseJson(new TextDecoder("utf-8", { fatal: true }).decode(json));
  } catch {
    throw fail("it isn't JSON in UTF-8");
  }
  const map =
    typeof index === "object" && index !== null && "weight_map" in index && index.weight_map;
  if (typeof map !== "object" || map === null) throw fail("it has no weight_map");
  const files = new Map<string, string>();
  for (const [tensor, file] of Object.entries(map)) {
    if (typeof file !== "string") throw fail("its weight_map isn't a map of strings");
    files.set(tensor, checkedFilePath(file, SAFETENSORS_INDEX));
  }
  return files;
}

function twice(tensor: string): Failure {
  return new Failure(
    "content",
    `two safetensors layers have the tensor ${JSON.stringify(tensor.slice(0, 200))}, and no index says which one counts`,
  );
}

function mismatch(reason: string): Failure {
  return new Failure(
    "content",
    `the safetensors layers don't fit ${SAFETENSORS_INDEX} of the artifact: ${reason}`,
  );
}
