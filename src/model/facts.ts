/** What a model's own files say about it. */
import type { GgufHead } from "./gguf.ts";
import { asObject } from "./json.ts";
import { licenseId } from "./licenses.ts";
import { countParameters, type SafetensorsHeader } from "./safetensors.ts";

/** What the weights and config.json say about a model. */
export interface ModelFacts {
  readonly architecture?: string;
  /** The number of elements in all tensors. */
  readonly parameters: number;
  /** How the weights are stored: the type that most of them have, or GGUF's name for the mix. */
  readonly quantization?: string;
  /** The type of the numbers that is computed with, in ModelPack's words: `bfloat16`. */
  readonly precision?: string;
  /** How the weights were quantized, where they were: `gptq`, `Q4_K_M`. */
  readonly method?: string;
  /** Tokens. */
  readonly contextSize?: number;
  /** Bytes of the weights. */
  readonly size: number;
  /** `llama`, `bert`: which models are built alike. */
  readonly family?: string;
  readonly name?: string;
  /** SPDX expressions. */
  readonly licenses?: readonly string[];
  /** RFC 3339. Known of what was packed before: files don't tell. */
  readonly created?: string;
}

/** ModelPack's words for the types of safetensors, GGUF and torch. */
const precisions: Readonly<Record<string, string>> = {
  F64: "float64",
  F32: "float32",
  F16: "float16",
  BF16: "bfloat16",
  F8_E4M3: "float8_e4m3",
  F8_E5M2: "float8_e5m2",
  C64: "complex64",
  I64: "int64",
  I32: "int32",
  I16: "int16",
  I8: "int8",
  U64: "uint64",
  U32: "uint32",
  U16: "uint16",
  U8: "uint8",
  BOOL: "bool",
};
/** Characters of a name. */
const MAX_WORD = 256;
const precisionNames = new Set(Object.values(precisions));

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
  const family = json["model_type"];
  const method = asObject(json["quantization_config"])["quant_method"];
  const torch = [json["torch_dtype"], json["dtype"]].find((type) =>
    precisionNames.has(String(type)),
  );
  const precision = torch === undefined ? precisions[quantization ?? ""] : String(torch);
  return {
    ...(isWord(architecture) && { architecture }),
    parameters: countParameters(headers),
    ...(quantization && { quantization }),
    ...(precision && { precision }),
    ...(isWord(method) && { method }),
    ...(isWord(family) && { family }),
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
  const precision = precisions[quantization ?? ""];
  const name: unknown = values.get("general.name");
  const license = licenseId(String(values.get("general.license") ?? ""));
  return {
    ...(isWord(architecture) && { architecture, family: architecture }),
    parameters: heads.reduce((sum, { parameters }) => sum + parameters, 0),
    ...(quantization && { quantization }),
    ...(precision && { precision }),
    ...(quantization && !precision && { method: quantization }),
    ...(isWord(name) && { name }),
    ...(license && { licenses: [license] }),
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

/** A text that can stand in a config: files from outside may have anything. */
function isWord(value: unknown): value is string {
  return typeof value === "string" && value !== "" && value.length <= MAX_WORD;
}

/** `context_size` is an int32. */
function isTokenCount(value: unknown): value is number {
  return Number.isInteger(value) && (value as number) > 0 && (value as number) < 2 ** 31;
}
