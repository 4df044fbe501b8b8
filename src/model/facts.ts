/** What a model's own files say about it. */
import type { GgufHead } from "./gguf.ts";
import { asObject } from "./json.ts";
import { countParameters, type SafetensorsHeader } from "./safetensors.ts";

/** What the weights and config.json say about a model. */
export interface ModelFacts {
  readonly architecture?: string;
  /** The number of elements in all tensors. */
  readonly parameters: number;
  readonly quantization?: string;
  /** Tokens. */
  readonly contextSize?: number;
  /** Bytes of the weights. */
  readonly size: number;
}

/** `general.file_type` of GGUF, the ones in use. */
const fileTypes: Readonly<Record<number, string>> = {
  0: "F32",
  1: "F16",
  2: "Q4_0",
  7: "Q8_0",
  12: "Q3_K_M",
  15: "Q4_K_M",
  17: "Q5_K_M",
  18: "Q6_K",
  32: "BF16",
};

/**
 * @param config the content of config.json, if there is one; what it doesn't say stays open
 * @param size bytes of all weight files
 */
export function safetensorsFacts(
  headers: readonly SafetensorsHeader[],
  config: unknown,
  size: number,
): ModelFacts {
  const json = asObject(config);
  const [architecture] = Array.isArray(json["architectures"]) ? json["architectures"] : [];
  const contextSize =
    json["max_position_embeddings"] ?? asObject(json["text_config"])["max_position_embeddings"];
  const quantization = mostUsedType(headers);
  return {
    ...(typeof architecture === "string" && { architecture }),
    parameters: countParameters(headers),
    ...(quantization && { quantization }),
    ...(isTokenCount(contextSize) && { contextSize }),
    size,
  };
}

/** @param size bytes of all weight files */
export function ggufFacts(heads: readonly GgufHead[], size: number): ModelFacts {
  // Only the first shard has all of the metadata.
  const values = heads[0]?.values ?? new Map();
  const architecture: unknown = values.get("general.architecture");
  const contextSize = Number(values.get(`${architecture}.context_length`));
  const quantization = fileTypes[Number(values.get("general.file_type"))];
  return {
    ...(typeof architecture === "string" && { architecture }),
    parameters: heads.reduce((sum, { parameters }) => sum + parameters, 0),
    ...(quantization && { quantization }),
    ...(isTokenCount(contextSize) && { contextSize }),
    size,
  };
}

/** The type that most elements have. */
function mostUsedType(headers: readonly SafetensorsHeader[]): string | undefined {
  const elements = new Map<string, number>();
  for (const { tensors } of headers) {
    for (const tensor of tensors.values()) {
      elements.set(tensor.dtype, (elements.get(tensor.dtype) ?? 0) + tensor.elements);
    }
  }
  return [...elements].sort((a, b) => b[1] - a[1])[0]?.[0];
}

/** `context_size` is an int32. */
function isTokenCount(value: unknown): value is number {
  return Number.isInteger(value) && (value as number) > 0 && (value as number) < 2 ** 31;
}
