/**
 * The CNCF ModelPack format, `application/vnd.cncf.model.*`, and its former name `…cnai…`: a layer is
 * one file as it is, or a tar archive. Also what podman and RamaLama store under its artifact type.
 */
import type { Descriptor } from "../oci/descriptor.ts";
import type { Manifest } from "../oci/manifest.ts";
import { diffIdsOf, expectDiffId } from "./diff-ids.ts";
import type { FormatReader, ModelDescription } from "./format.ts";
import { asObject, asText, parseObject, present, textsIn } from "./json.ts";
import { annotatedPath, compressionOf, type Target } from "./planned-file.ts";

export const MODELPACK_MANIFEST = "application/vnd.cncf.model.manifest.v1+json";
export const MODELPACK_CONFIG = "application/vnd.cncf.model.config.v1+json";

const declared = /^application\/vnd\.(?:cncf|cnai)\.model\.(?:manifest|config)\.v1\+json$/;
const layerType = /^application\/vnd\.(?:cncf|cnai)\.model\./;
const archiveType = /^application\/vnd\.(?:cncf|cnai)\.model\..+\.tar(?:\+gzip|\+zstd)?$/;
/** Raw weights whose type says what they are, by older versions of Docker Model Runner. */
const weightType = /\.weight\.v1\.(gguf|safetensors)$/;
/**
 * Archives that Docker Model Runner carries over from its own format under the type of a raw file,
 * with the names that they had in its temporary directory.
 */
const carriedArchive = /^(vllm-config|dir-tar)-[^/]*\.tar$/;

export const modelpack: FormatReader = {
  format: "modelpack",
  usesConfig: true,
  declares(manifest: Manifest): boolean {
    if (manifest.kind !== "image") return false;
    const { artifactType = "", config } = manifest.content;
    return declared.test(artifactType) || declared.test(config.mediaType);
  },
  recognises(manifest: Manifest): boolean {
    if (manifest.kind !== "image") return false;
    return manifest.content.layers.some(({ mediaType }) => layerType.test(mediaType));
  },
  describe,
  plan({ layers, config }) {
    const json = parseObject(config);
    const model = asObject(json["modelfs"]);
    const diffIds = diffIdsOf(layers, model["diffIds"] ?? model["diff_ids"]);
    const files = layers.map((descriptor, index) => {
      const target = targetOf(descriptor);
      const compression = target.kind === "archive" ? target.compression : "none";
      return { descriptor, target, ...expectDiffId(descriptor, compression, diffIds[index]) };
    });
    return { files, warnings: [] };
  },
};

function targetOf(layer: Descriptor): Target {
  const { mediaType } = layer;
  if (archiveType.test(mediaType)) {
    return { kind: "archive", role: "content", compression: compressionOf(mediaType) };
  }
  const path = annotatedPath(layer);
  if (path === undefined) {
    const encoding = weightType.exec(mediaType)?.[1];
    return encoding === "gguf" || encoding === "safetensors"
      ? { kind: "shard", encoding }
      : { kind: "unnamed" };
  }
  const carried = carriedArchive.exec(path)?.[1];
  if (carried === undefined) return { kind: "file", path };
  const role = carried === "vllm-config" ? "config" : "content";
  return { kind: "archive", role, compression: "none" };
}

/** Also by the names that keys had in earlier versions, one of them misspelt. */
function describe(config: Uint8Array): ModelDescription {
  const json = parseObject(config);
  const model = asObject(json["config"]);
  const descriptor = asObject(json["descriptor"]);
  const licenses = textsIn(descriptor["licenses"]);
  return present<ModelDescription>({
    format: asText(model["format"]),
    architecture: asText(model["architecture"]),
    parameters: asText(model["paramSize"]) ?? asText(model["parameterSize"]),
    quantization: asText(model["quantization"]) ?? asText(model["puantization"]),
    precision: asText(model["precision"]),
    created: asText(descriptor["createdAt"]),
    name: asText(descriptor["name"]),
    licenses: licenses.length > 0 ? licenses : undefined,
  });
}
