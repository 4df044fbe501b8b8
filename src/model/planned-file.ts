/** What one layer of an artifact becomes on disk. */
import { Failure } from "../lib/failure.ts";
import type { Descriptor } from "../oci/descriptor.ts";
import type { Digest } from "../oci/digest.ts";
import type { Repository } from "../oci/reference.ts";
import { asText, parseText } from "./json.ts";
import { checkedFilePath, PathSet } from "./path.ts";

/** Where the content of a layer goes. Paths are relative to the model's root, and checked. */
export type Target =
  /** The layer is this file. */
  | {
      readonly kind: "file";
      readonly path: string;
      /** @default "none" */
      readonly compression?: Compression;
      /** What is written there instead: the layer in the form that people and programs read. */
      readonly content?: string;
    }
  /** The layer is a weight file, and only the headers of all of them tell its name. */
  | { readonly kind: "shard"; readonly encoding: "safetensors" | "gguf" }
  /** The layer is a weight file or a tar archive, and only its first bytes tell which. */
  | { readonly kind: "unnamed" }
  /** The layer is a tar archive to unpack in the root. */
  | {
      readonly kind: "archive";
      readonly role: "config" | "content";
      readonly compression: Compression;
      /** The folder in which every entry must lie. @default the root */
      readonly within?: string;
      /** The folder that its entries' names begin at. @default the root */
      readonly into?: string;
    }
  /** The layer is one of a container image; of all of them together, `models/` is the root. */
  | { readonly kind: "image-layer"; readonly compression: Compression };

export type Compression = "none" | "gzip" | "zstd";

/** What the end of a layer's media type says: `…tar+gzip`, `…tar.gzip`, `…tar+zstd`. */
export function compressionOf(mediaType: string): Compression {
  if (/[+.]gzip$/.test(mediaType)) return "gzip";
  return mediaType.endsWith("+zstd") ? "zstd" : "none";
}

export interface PlannedFile {
  readonly descriptor: Descriptor;
  /** Who has the layer. @default the artifact's own repository */
  readonly from?: Repository;
  readonly target: Target;
  /** What the layer is when it is decompressed, by the config. */
  readonly diffId?: Digest;
  /** Of an archive, the files that are wanted. @default all */
  readonly only?: ReadonlySet<string>;
  /** The name of a weight layer in the `layers/` of a view. */
  readonly layerName?: string;
}

/** The planned shards of an encoding; a layer that stands there twice is one file. */
export function shardsOf(
  files: readonly PlannedFile[],
  encoding: (Target & { kind: "shard" })["encoding"],
): PlannedFile[] {
  const shards = files.filter(
    ({ target }) => target.kind === "shard" && target.encoding === encoding,
  );
  return [...new Map(shards.map((file) => [file.descriptor.digest, file])).values()];
}

/**
 * The path that a layer's annotations give it, undefined when they give none: ModelPack's file path
 * first, then the name in its file metadata, then the title.
 *
 * @throws {Failure} `content` when the path could lead outside
 */
export function annotatedPath(descriptor: Descriptor): string | undefined {
  const { annotations = {} } = descriptor;
  const text =
    annotations["org.cncf.model.filepath"] ??
    annotations["org.cnai.model.filepath"] ??
    metadataName(annotations) ??
    annotations["org.opencontainers.image.title"];
  return text === undefined ? undefined : checkedFilePath(text, `the layer ${descriptor.digest}`);
}

const metadataKeys = [
  "org.cncf.model.file.metadata+json",
  "org.cncf.model.file.metadata",
  "org.cnai.model.file.metadata+json",
  "org.cnai.model.file.metadata",
];

/** Metadata that can't be read names nothing; the title may. */
function metadataName(annotations: Readonly<Record<string, string>>): string | undefined {
  for (const key of metadataKeys) {
    const text = annotations[key];
    const name = text === undefined ? undefined : asText(parseText(text)["name"]);
    if (name !== undefined) return name;
  }
  return undefined;
}

/**
 * The files with each path once: the same content twice under one path is one file.
 *
 * @throws {Failure} `content` when two layers want one path, or paths that a file system confuses
 */
export function settlePaths(files: readonly PlannedFile[]): PlannedFile[] {
  const owners = new Map<string, string>();
  const paths = new PathSet();
  return files.filter(({ target, descriptor }) => {
    if (target.kind !== "file") return true;
    const owner = owners.get(target.path);
    if (owner === descriptor.digest) return false;
    if (owner !== undefined) {
      throw new Failure(
        "content",
        `two layers of the manifest want the path ${JSON.stringify(target.path.slice(0, 200))}: ${owner} and ${descriptor.digest}`,
      );
    }
    owners.set(target.path, descriptor.digest);
    paths.addFile(target.path, `the layer ${descriptor.digest}`);
    return true;
  });
}

/**
 * Whether a set of names is all the weights of a Hugging Face model: beside them, a
 * `consolidated.safetensors` is a second copy that would make loaders choose another format.
 */
export function isCompleteModel(names: readonly string[]): boolean {
  return names.includes("model.safetensors") || completeShards(names).length > 0;
}

/** The shards of a model by their names, in their order; none when one is missing. */
export function completeShards(names: readonly string[]): string[] {
  const shards = names.filter((name) => shardNumbers(name) !== undefined).sort();
  const count = shardNumbers(shards[0] ?? "")?.count;
  const set = [...new Set(shards)].filter((name) => shardNumbers(name)?.count === count);
  const isComplete = set.every((name, index) => shardNumbers(name)?.number === index + 1);
  return isComplete && set.length === count ? set : [];
}

function shardNumbers(name: string): { number: number; count: number } | undefined {
  const match = /^model-(\d{5})-of-(\d{5})\.safetensors$/.exec(name);
  return match ? { number: Number(match[1]), count: Number(match[2]) } : undefined;
}

/** Whether a name is that of weights in Mistral's own format, at any depth. */
export function isConsolidated(path: string): boolean {
  return /(?:^|\/)consolidated[^/]*\.safetensors$/.test(path);
}
