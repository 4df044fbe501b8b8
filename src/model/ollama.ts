/**
 * The format of Ollama, `application/vnd.ollama.image.*` in a Docker manifest: a GGUF file and the
 * texts of a Modelfile, or a small safetensors file for every tensor.
 */
import { Failure } from "../lib/failure.ts";
import type { Descriptor } from "../oci/descriptor.ts";
import type { Manifest } from "../oci/manifest.ts";
import { layersOf } from "../oci/partial.ts";
import type { FormatReader, ModelDescription } from "./format.ts";
import { asText, parseObject, present } from "./json.ts";
import { checkedFilePath } from "./path.ts";
import type { PlannedFile, Target } from "./planned-file.ts";

const PREFIX = "application/vnd.ollama.image.";

/** The files that a model may have, those that it may have several of by their number from 1. */
const names: Readonly<Record<string, (number: number) => string>> = {
  projector: (n) => (n === 1 ? "mmproj.gguf" : `mmproj-${n}.gguf`),
  adapter: (n) => `adapter-${n}.gguf`,
  draft: (n) => (n === 1 ? "draft.gguf" : `draft-${n}.gguf`),
  // In the template language of Go: an engine that looks for Jinja must not find it.
  template: (n) => (n === 1 ? "template.gotmpl" : `template-${n}.gotmpl`),
  system: (n) => (n === 1 ? "system.txt" : `system-${n}.txt`),
  params: (n) => (n === 1 ? "params.json" : `params-${n}.json`),
  messages: (n) => (n === 1 ? "messages.json" : `messages-${n}.json`),
  license: (n) => (n === 1 ? "LICENSE" : `LICENSE-${n}`),
};
/** What kinds were called before. */
const formerKinds: Readonly<Record<string, string>> = { prompt: "template" };

export const ollama: FormatReader = {
  format: "ollama",
  usesConfig: true,
  declares: hasLayers,
  recognises: hasLayers,
  describe(config: Uint8Array): ModelDescription {
    const json = parseObject(config);
    const contextSize = json["context_length"];
    return present<ModelDescription>({
      format: asText(json["model_format"]),
      architecture: asText(json["model_family"]),
      parameters: asText(json["model_type"]),
      quantization: asText(json["file_type"]),
      name: asText(json["base_name"]),
      contextSize: Number.isSafeInteger(contextSize) ? (contextSize as number) : undefined,
    });
  },
  plan({ layers }) {
    const counts = new Map<string, number>();
    const models = layers.filter(({ mediaType }) => mediaType === `${PREFIX}model`);
    const files: PlannedFile[] = [];
    const warnings: string[] = [];
    for (const descriptor of layers) {
      const kind = kindOf(descriptor);
      const number = (counts.get(kind) ?? 0) + 1;
      counts.set(kind, number);
      const target = targetOf(descriptor, kind, number, models.length);
      if (target) files.push({ descriptor, target });
      else {
        warnings.push(
          `left out the layer ${descriptor.digest}: nothing here uses a ${descriptor.mediaType}`,
        );
      }
    }
    if (counts.has("tensor")) {
      warnings.push(
        "the model is in Ollama's own layout of tensors, which other engines don't open",
      );
    }
    return { files, warnings };
  },
};

function hasLayers(manifest: Manifest): boolean {
  return layersOf(manifest).some(({ mediaType }) => mediaType.startsWith(PREFIX));
}

function kindOf({ mediaType }: Descriptor): string {
  const kind = mediaType.startsWith(PREFIX) ? mediaType.slice(PREFIX.length) : "";
  return formerKinds[kind] ?? kind;
}

function targetOf(
  descriptor: Descriptor,
  kind: string,
  number: number,
  models: number,
): Target | undefined {
  switch (kind) {
    case "model":
      return models === 1
        ? { kind: "file", path: "model.gguf" }
        : { kind: "shard", encoding: "gguf" };
    case "tensor":
      return { kind: "file", path: nameOf(descriptor, ".safetensors") };
    case "json":
      return { kind: "file", path: nameOf(descriptor, "") };
    default: {
      const name = Object.hasOwn(names, kind) ? names[kind] : undefined;
      return name && { kind: "file", path: name(number) };
    }
  }
}

/** Ollama puts the name of a tensor or of a file beside the digest, not among the annotations. */
function nameOf(descriptor: Descriptor, suffix: string): string {
  const name = asText((descriptor as { readonly name?: unknown }).name);
  const source = `the layer ${descriptor.digest}`;
  if (name === undefined) {
    throw new Failure("content", `${source} is a ${descriptor.mediaType}, and has no name`);
  }
  return checkedFilePath(`${name}${suffix}`, source);
}
