/** Writing the Docker AI format: which file of a model goes into which layer, and the config. */
import { formatByteSize } from "../lib/byte-size.ts";
import { Failure } from "../lib/failure.ts";
import type { Digest } from "../oci/digest.ts";
import {
  DOCKER_CHAT_TEMPLATE,
  DOCKER_GGUF,
  DOCKER_LICENSE,
  DOCKER_MMPROJ,
  DOCKER_SAFETENSORS,
} from "./docker.ts";
import type { ModelFacts } from "./facts.ts";
import { checkedFilePath, PathSet } from "./path.ts";
import { isCompleteModel, isConsolidated } from "./planned-file.ts";

export interface Packing {
  readonly format: "safetensors" | "gguf";
  /** Weights in shard order. */
  readonly weights: readonly FileLayer[];
  /** Files of the one configuration archive, sorted. */
  readonly config: readonly string[];
  /** Files of further archives, one a folder, sorted. */
  readonly directories: readonly { readonly name: string; readonly files: readonly string[] }[];
  /** Licences, and the chat template of a GGUF model. */
  readonly documents: readonly FileLayer[];
  /** What the format has no place for. */
  readonly leftOut: readonly string[];
}

/** A layer that is one file. */
export interface FileLayer {
  readonly path: string;
  readonly mediaType: string;
}

/**
 * What goes into the configuration archive: JSON, text, Markdown, vocabularies and templates, as
 * other packers do, and also what tokenizers (`tokenizer.model`, `*.tiktoken`) and models with code
 * of their own (`*.py`, written but never run) can't do without.
 */
const configFile = /\.(?:json|txt|md|vocab|jinja|model|tiktoken|py)$/;
const licenseFile = /^(?:licen[cs]e|copying|notice)(?:[-._].*)?$/i;

/**
 * Sorts the files of a model's directory into layers. Files in folders come as archives when they
 * are configuration; weights in folders don't.
 *
 * @param paths relative to the directory
 * @throws {Failure} `usage` when there are no weights, or two kinds of them; `content` for names
 *   that a pull would refuse
 */
export function packDocker(paths: readonly string[]): Packing {
  const sorted = [...paths].sort();
  const top = sorted.filter((path) => !path.includes("/"));
  const gguf = top.filter((path) => path.endsWith(".gguf"));
  const safetensors = withoutConsolidated(top.filter((path) => path.endsWith(".safetensors")));
  if (safetensors.length > 0 && gguf.length > 0) {
    throw new Failure(
      "usage",
      `there are both safetensors and GGUF files (${safetensors[0]}, ${gguf[0]}): push one kind, or one file`,
    );
  }
  if (safetensors.length === 0 && gguf.length === 0) {
    throw new Failure("usage", "there are no weights: want *.safetensors or *.gguf at the top");
  }
  const licenses = top.filter((path) => licenseFile.test(path));
  const isSafetensors = safetensors.length > 0;
  const config = isSafetensors
    ? top.filter((path) => configFile.test(path) && !licenses.includes(path))
    : [];
  const templates = isSafetensors ? [] : top.filter((path) => path.endsWith(".jinja")).slice(0, 1);
  const directories = isSafetensors ? groupByFolder(sorted) : [];
  const weights = isSafetensors
    ? safetensors.map((path) => ({ path, mediaType: DOCKER_SAFETENSORS }))
    : gguf.map((path) => ({ path, mediaType: isProjector(path) ? DOCKER_MMPROJ : DOCKER_GGUF }));
  const documents = [
    ...templates.map((path) => ({ path, mediaType: DOCKER_CHAT_TEMPLATE })),
    ...licenses.map((path) => ({ path, mediaType: DOCKER_LICENSE })),
  ];
  const taken = new Set([
    ...[...weights, ...documents].map(({ path }) => path),
    ...config,
    ...directories.flatMap(({ files }) => files),
  ]);
  const names = new PathSet();
  for (const path of taken) names.addFile(checkedFilePath(path, "the model"), "the model");
  return {
    format: isSafetensors ? "safetensors" : "gguf",
    weights,
    config,
    directories,
    documents,
    leftOut: sorted.filter((path) => !taken.has(path)),
  };
}

function withoutConsolidated(names: readonly string[]): readonly string[] {
  return isCompleteModel(names) ? names.filter((name) => !isConsolidated(name)) : names;
}

function isProjector(path: string): boolean {
  return path.toLowerCase().includes("mmproj");
}

function groupByFolder(paths: readonly string[]): { name: string; files: string[] }[] {
  const folders = new Map<string, string[]>();
  for (const path of paths) {
    const slash = path.indexOf("/");
    if (slash < 0 || !configFile.test(path)) continue;
    const name = path.slice(0, slash);
    folders.set(name, [...(folders.get(name) ?? []), path]);
  }
  return [...folders].map(([name, files]) => ({ name, files }));
}

/**
 * The config of v0.1, `{config, descriptor, rootfs}`. It holds no time, so that the same model makes
 * the same artifact everywhere.
 */
export function dockerConfig(
  format: "safetensors" | "gguf",
  facts: ModelFacts,
  layers: readonly Digest[],
): string {
  const { architecture, parameters, quantization, contextSize, size } = facts;
  return JSON.stringify({
    config: {
      format,
      ...(quantization && { quantization }),
      parameters: formatCount(parameters),
      ...(architecture && { architecture }),
      size: formatByteSize(size).replace(" ", ""),
      ...(contextSize && { context_size: contextSize }),
    },
    descriptor: {},
    rootfs: { type: "rootfs", diff_ids: layers },
  });
}

/** `22.71M`, `1.10B`, `405`. */
export function formatCount(count: number): string {
  if (count >= 1e9) return `${(count / 1e9).toFixed(2)}B`;
  if (count >= 1e6) return `${(count / 1e6).toFixed(2)}M`;
  if (count >= 1e3) return `${(count / 1e3).toFixed(2)}K`;
  return String(count);
}
