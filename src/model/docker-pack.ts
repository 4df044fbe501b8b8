/**
 * Writing the Docker AI format: v0.2, a layer a file, and v0.1, where all configuration is one
 * archive, for readers from before 2026.
 */
import { formatByteSize } from "../lib/byte-size.ts";
import { Failure } from "../lib/failure.ts";
import {
  DOCKER_CHAT_TEMPLATE,
  DOCKER_CONFIG_TAR,
  DOCKER_CONFIG_V01,
  DOCKER_CONFIG_V02,
  DOCKER_DDUF,
  DOCKER_DIRECTORY_TAR,
  DOCKER_FILE,
  DOCKER_GGUF,
  DOCKER_LICENSE,
  DOCKER_MMPROJ,
  DOCKER_SAFETENSORS,
} from "./docker.ts";
import type { FileKind, ModelSurvey, SurveyedFile } from "./model-files.ts";
import type { Packed, PackedLayer, Packer, Packing } from "./packing.ts";

const annotations = (path: string) => ({ "org.cncf.model.filepath": path });

/** v0.2. */
export const dockerPacker: Packer = {
  format: "docker",
  configType: DOCKER_CONFIG_V02,
  pack: packFiles,
  config: dockerConfig,
  annotations,
};

/** v0.1. */
export const oldDockerPacker: Packer = {
  format: "docker-v0.1",
  configType: DOCKER_CONFIG_V01,
  pack: packArchives,
  config: dockerConfig,
  annotations,
};

const mediaTypes: Readonly<Partial<Record<FileKind, string>>> = {
  projector: DOCKER_MMPROJ,
  template: DOCKER_CHAT_TEMPLATE,
  license: DOCKER_LICENSE,
};

function packFiles(model: ModelSurvey): Packing {
  requireKnownWeights(model);
  return {
    layers: model.files.map(({ path, kind }) => ({
      kind: "file",
      mediaType: mediaTypes[kind] ?? weightType(path) ?? DOCKER_FILE,
      path,
    })),
    leftOut: model.copies,
  };
}

function weightType(path: string): string | undefined {
  if (path.endsWith(".safetensors")) return DOCKER_SAFETENSORS;
  if (path.endsWith(".gguf")) return DOCKER_GGUF;
  return path.endsWith(".dduf") ? DOCKER_DDUF : undefined;
}

function requireKnownWeights({ format, weights }: ModelSurvey): void {
  if (format === "safetensors" || format === "gguf" || format === "dduf") return;
  throw new Failure(
    "usage",
    `the docker format has no place for weights like ${JSON.stringify(weights[0])}: want *.safetensors or *.gguf, or push with --format modelpack`,
  );
}

/**
 * What goes into a configuration archive: JSON, text, Markdown, vocabularies and templates, as other
 * packers do, and also what tokenizers (`tokenizer.model`, `*.tiktoken`) and models with code of
 * their own (`*.py`, written but never run) can't do without.
 */
const configFile = /\.(?:json|txt|md|vocab|jinja|model|tiktoken|py)$/;

/** Weights at the top in shard order, archives, then licences, and the chat template of GGUF. */
function packArchives({ format, weights, files, copies }: ModelSurvey): Packing {
  const top = files.filter(({ path }) => !path.includes("/"));
  if (
    weights.some((path) => path.includes("/")) ||
    (format !== "safetensors" && format !== "gguf")
  ) {
    throw new Failure(
      "usage",
      "there are no weights that docker-v0.1 has a place for: want *.safetensors or *.gguf at the top",
    );
  }
  const isSafetensors = format === "safetensors";
  const config = isSafetensors
    ? top.filter(({ path, kind }) => configFile.test(path) && kind !== "license")
    : [];
  const templates = isSafetensors ? [] : ofKind(top, "template").slice(0, 1);
  const archives = [archive(DOCKER_CONFIG_TAR, config), ...(isSafetensors ? folders(files) : [])];
  const layers: PackedLayer[] = [
    ...top.flatMap(({ path, kind }) => {
      const mediaType = kind === "projector" ? DOCKER_MMPROJ : weightType(path);
      return mediaType && path.endsWith(`.${format}`) ? [asFile(path, mediaType)] : [];
    }),
    ...archives.filter(({ paths }) => paths.length > 0),
    ...templates.map(({ path }) => asFile(path, DOCKER_CHAT_TEMPLATE)),
    ...ofKind(top, "license").map(({ path }) => asFile(path, DOCKER_LICENSE)),
  ];
  const taken = new Set(
    layers.flatMap((layer) => (layer.kind === "file" ? layer.path : layer.paths)),
  );
  const left = files.map(({ path }) => path).filter((path) => !taken.has(path));
  return { layers, leftOut: [...copies, ...left].sort() };
}

function asFile(path: string, mediaType: string): PackedLayer {
  return { kind: "file", mediaType, path };
}

function archive(mediaType: string, files: readonly SurveyedFile[]) {
  return { kind: "archive" as const, mediaType, paths: files.map(({ path }) => path).sort() };
}

/** An archive for each folder that has configuration. */
function folders(files: readonly SurveyedFile[]) {
  const deep = files.filter(({ path }) => path.includes("/") && configFile.test(path));
  const byFolder = Map.groupBy(deep, ({ path }) => path.slice(0, path.indexOf("/")));
  return [...byFolder]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([, inFolder]) => archive(DOCKER_DIRECTORY_TAR, inFolder));
}

function ofKind(files: readonly SurveyedFile[], kind: FileKind): SurveyedFile[] {
  return files.filter((file) => file.kind === kind);
}

/** The config of both versions, `{config, descriptor, rootfs}`. */
function dockerConfig({ format, facts, layers }: Packed): string {
  const { architecture, parameters, quantization, contextSize, size, created } = facts;
  return JSON.stringify({
    config: {
      ...(format && { format }),
      ...(quantization && { quantization }),
      ...(parameters > 0 && { parameters: formatCount(parameters) }),
      ...(architecture && { architecture }),
      size: formatByteSize(size).replace(" ", ""),
      ...(contextSize && { context_size: contextSize }),
    },
    descriptor: { ...(created && { created }) },
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
