/**
 * The Docker AI format, `application/vnd.docker.ai.*`, v0.1 and v0.2: a layer is one file as it is,
 * or a plain tar of configuration files.
 */
import { Failure } from "../lib/failure.ts";
import type { Descriptor } from "../oci/descriptor.ts";
import { encodedOf } from "../oci/digest.ts";
import type { Manifest } from "../oci/manifest.ts";
import { layersOf } from "../oci/partial.ts";
import { diffIdsOf, expectDiffId } from "./diff-ids.ts";
import type { FormatReader, ModelDescription } from "./format.ts";
import { asObject, asText, parseObject, present } from "./json.ts";
import { annotatedPath, type PlannedFile, type Target } from "./planned-file.ts";

const PREFIX = "application/vnd.docker.ai.";
export const DOCKER_CONFIG_V01 = "application/vnd.docker.ai.model.config.v0.1+json";
export const DOCKER_CONFIG_V02 = "application/vnd.docker.ai.model.config.v0.2+json";
export const DOCKER_SAFETENSORS = "application/vnd.docker.ai.safetensors";
export const DOCKER_GGUF = "application/vnd.docker.ai.gguf.v3";
export const DOCKER_MMPROJ = "application/vnd.docker.ai.mmproj";
export const DOCKER_CHAT_TEMPLATE = "application/vnd.docker.ai.chat.template.jinja";
export const DOCKER_LICENSE = "application/vnd.docker.ai.license";
export const DOCKER_DDUF = "application/vnd.docker.ai.dduf";
/** Any file that belongs to the model; the annotation has its path. */
export const DOCKER_FILE = "application/vnd.docker.ai.model.file";
export const DOCKER_CONFIG_TAR = "application/vnd.docker.ai.vllm.config.tar";
export const DOCKER_DIRECTORY_TAR = "application/vnd.docker.ai.dir.tar";

export const docker: FormatReader = {
  format: "docker",
  usesConfig: true,
  declares(manifest: Manifest): boolean {
    if (manifest.kind !== "image") return false;
    const { mediaType } = manifest.content.config;
    return mediaType === DOCKER_CONFIG_V01 || mediaType === DOCKER_CONFIG_V02;
  },
  recognises(manifest: Manifest): boolean {
    return layersOf(manifest).some(({ mediaType }) => mediaType.startsWith(PREFIX));
  },
  describe,
  plan({ layers, config }) {
    checkDiffIds(layers, config);
    const isDirectory = layers.some((layer) => layer.mediaType === DOCKER_SAFETENSORS);
    const named = {
      safetensors: isNamed(layers, DOCKER_SAFETENSORS),
      gguf: isNamed(layers, DOCKER_GGUF) || count(layers, DOCKER_GGUF) === 1,
    };
    const warnings: string[] = [];
    const files: PlannedFile[] = [];
    let weights = 0;
    let licenses = 0;
    for (const descriptor of layers) {
      const add = (target: Target, layerName?: string) =>
        files.push({ descriptor, target, ...(layerName && { layerName }) });
      const addFile = (fallback: string) =>
        add({ kind: "file", path: annotatedPath(descriptor) ?? fallback });
      switch (descriptor.mediaType) {
        case DOCKER_SAFETENSORS: {
          const name = `${String(weights++).padStart(4, "0")}_${encodedOf(descriptor.digest)}.safetensors`;
          const path = named.safetensors ? annotatedPath(descriptor) : undefined;
          add(path ? { kind: "file", path } : { kind: "shard", encoding: "safetensors" }, name);
          break;
        }
        case DOCKER_GGUF:
          if (named.gguf) addFile("model.gguf");
          else add({ kind: "shard", encoding: "gguf" });
          break;
        case DOCKER_MMPROJ:
        case `${DOCKER_GGUF}.mmproj`:
          addFile("model.mmproj");
          break;
        case `${DOCKER_GGUF}.lora`:
          addFile("adapter.gguf");
          break;
        case DOCKER_CHAT_TEMPLATE:
          addFile(isDirectory ? "chat_template.jinja" : "template.jinja");
          break;
        case DOCKER_LICENSE:
          licenses++;
          addFile(licenses === 1 ? "LICENSE" : `LICENSE-${licenses}`);
          break;
        case DOCKER_DDUF:
          addFile("model.dduf");
          break;
        case DOCKER_CONFIG_TAR:
          add({ kind: "archive", role: "config", compression: "none" });
          break;
        case DOCKER_DIRECTORY_TAR:
          add({ kind: "archive", role: "content", compression: "none" });
          break;
        default: {
          // `model.file` and whatever comes later: a file if it has a name.
          const path = annotatedPath(descriptor);
          if (path !== undefined) add({ kind: "file", path });
          else {
            warnings.push(
              `left out the layer ${descriptor.digest}: a ${descriptor.mediaType} without a name`,
            );
          }
        }
      }
    }
    if (files.filter(({ target }) => isConfigArchive(target)).length > 1) {
      throw new Failure("content", `the manifest has several layers of type ${DOCKER_CONFIG_TAR}`);
    }
    return { files, warnings };
  },
};

function isConfigArchive(target: Target): boolean {
  return target.kind === "archive" && target.role === "config";
}

function count(layers: readonly Descriptor[], mediaType: string): number {
  return layers.filter((layer) => layer.mediaType === mediaType).length;
}

/** Whether every layer of a type has a name: a part of the names says nothing about the rest. */
function isNamed(layers: readonly Descriptor[], mediaType: string): boolean {
  return layers.every(
    (layer) => layer.mediaType !== mediaType || annotatedPath(layer) !== undefined,
  );
}

/** Layers are never compressed, so that a config which lists them must list their digests. */
function checkDiffIds(layers: readonly Descriptor[], config: Uint8Array | undefined): void {
  const diffIds = diffIdsOf(layers, asObject(parseObject(config)["rootfs"])["diff_ids"]);
  for (const [index, layer] of layers.entries()) expectDiffId(layer, "none", diffIds[index]);
}

function describe(config: Uint8Array): ModelDescription {
  const json = parseObject(config);
  const model = asObject(json["config"]);
  const descriptor = asObject(json["descriptor"]);
  const contextSize = model["context_size"];
  return present<ModelDescription>({
    format: asText(model["format"]),
    architecture: asText(model["architecture"]),
    parameters: asText(model["parameters"]),
    quantization: asText(model["quantization"]),
    size: asText(model["size"]),
    contextSize: typeof contextSize === "number" ? contextSize : undefined,
    created: asText(descriptor["created"]) ?? asText(descriptor["createdAt"]),
  });
}
