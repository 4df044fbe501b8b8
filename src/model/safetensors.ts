/**
 * The header of a safetensors file: a little-endian u64 N, N bytes of JSON that name the tensors,
 * then the data. Read from outside, so everything is checked, as the format's own reader does.
 */
import { Failure } from "../lib/failure.ts";
import { findDuplicateKey } from "../lib/json.ts";
import { quoted } from "../lib/one-line.ts";
import { parseJson } from "./json.ts";

/** Bytes before the JSON. */
export const SAFETENSORS_PREFIX = 8;
/** Bytes of JSON, the format's own limit. */
export const MAX_SAFETENSORS_HEADER = 100_000_000;
/** Bytes of one tensor, so that its bits are still an exact number. */
const MAX_TENSOR = Number.MAX_SAFE_INTEGER / 8;

export interface Tensor {
  readonly dtype: string;
  readonly shape: readonly number[];
  /** The product of the shape. */
  readonly elements: number;
  /** Bytes. */
  readonly length: number;
}

export interface SafetensorsHeader {
  readonly tensors: ReadonlyMap<string, Tensor>;
  readonly metadata: Readonly<Record<string, string>>;
  /** Bytes of tensor data. */
  readonly dataLength: number;
}

/** Bits of one element. */
function bitsOf(dtype: string): number | undefined {
  if (dtype === "F4") return 4;
  if (dtype.startsWith("F6_")) return 6;
  if (dtype === "BOOL" || dtype === "U8" || dtype === "I8" || dtype.startsWith("F8_")) return 8;
  if (dtype === "I16" || dtype === "U16" || dtype === "F16" || dtype === "BF16") return 16;
  if (dtype === "I32" || dtype === "U32" || dtype === "F32") return 32;
  if (dtype === "I64" || dtype === "U64" || dtype === "F64" || dtype === "C64") return 64;
  return undefined;
}

/**
 * How many bytes of JSON follow the first eight.
 *
 * @throws {Failure} `content` when the prefix is short or the length over 100,000,000
 */
export function safetensorsHeaderLength(prefix: Uint8Array, source: string): number {
  if (prefix.byteLength < SAFETENSORS_PREFIX) throw malformed(source, "it is shorter than 8 bytes");
  const length = new DataView(prefix.buffer, prefix.byteOffset).getBigUint64(0, true);
  if (length > BigInt(MAX_SAFETENSORS_HEADER)) {
    throw malformed(source, `its header says it has ${length} bytes`);
  }
  return Number(length);
}

/**
 * Reads the JSON of a header.
 *
 * @param json the bytes after the prefix, exactly as many as it says
 * @param fileSize bytes of the whole file, which the tensors must fill exactly
 * @param source what is read, for the message
 * @throws {Failure} `content`
 */
export function parseSafetensorsHeader(
  json: Uint8Array,
  fileSize: number,
  source: string,
): SafetensorsHeader {
  const entries = Object.entries(parseHeader(json, source));
  const tensors = new Map<string, Tensor>();
  const ranges: (readonly [start: number, end: number, name: string])[] = [];
  let metadata: Record<string, string> = {};
  for (const [name, value] of entries) {
    if (name === "__metadata__") {
      metadata = parseMetadata(value, source);
      continue;
    }
    const { tensor, start } = parseTensor(name, value, source);
    tensors.set(name, tensor);
    ranges.push([start, start + tensor.length, name]);
  }
  ranges.sort((a, b) => a[0] - b[0] || a[1] - b[1]);
  let dataLength = 0;
  for (const [start, end, name] of ranges) {
    if (start !== dataLength) {
      throw malformed(source, `tensor ${quoted(name)} starts at ${start}, not at ${dataLength}`);
    }
    dataLength = end;
  }
  const expected = SAFETENSORS_PREFIX + json.byteLength + dataLength;
  if (expected !== fileSize) {
    throw malformed(source, `it has ${fileSize} bytes, and its header describes ${expected}`);
  }
  return { tensors, metadata, dataLength };
}

/** The number of elements in all tensors. */
export function countParameters(headers: Iterable<SafetensorsHeader>): number {
  let sum = 0;
  for (const { tensors } of headers) {
    for (const { elements } of tensors.values()) sum += elements;
  }
  return sum;
}

function parseHeader(json: Uint8Array, source: string): Record<string, unknown> {
  if (json[0] !== 0x7b) throw malformed(source, 'its header doesn\'t begin with "{"');
  let text: string;
  let value: unknown;
  try {
    text = new TextDecoder("utf-8", { fatal: true }).decode(json);
    value = parseJson(text);
  } catch {
    throw malformed(source, "its header isn't JSON in UTF-8");
  }
  const duplicate = findDuplicateKey(text);
  if (duplicate !== undefined) throw malformed(source, `${quoted(duplicate)} stands there twice`);
  return value as Record<string, unknown>;
}

function parseMetadata(value: unknown, source: string): Record<string, string> {
  if (!isObject(value) || Object.values(value).some((entry) => typeof entry !== "string")) {
    throw malformed(source, "its __metadata__ isn't a map of strings");
  }
  return value as Record<string, string>;
}

function parseTensor(
  name: string,
  value: unknown,
  source: string,
): { tensor: Tensor; start: number } {
  const fail = (reason: string) => malformed(source, `tensor ${quoted(name)} ${reason}`);
  if (!isObject(value)) throw fail("isn't an object");
  const { dtype, shape, data_offsets: offsets } = value;
  if (typeof dtype !== "string") throw fail("has no dtype");
  if (!isCounts(shape)) throw fail("has no valid shape");
  if (!isCounts(offsets) || offsets.length !== 2) throw fail("has no valid data_offsets");
  const [start = 0, end = 0] = offsets;
  const bits = bitsOf(dtype);
  if (bits === undefined) throw fail(`has the unknown dtype ${quoted(dtype)}`);
  const length = end - start;
  const elements = product(shape);
  if (elements * bits !== length * 8 || length < 0 || length > MAX_TENSOR) {
    throw fail(`has ${length} bytes, which isn't what its shape and dtype need`);
  }
  return { tensor: { dtype, shape, elements, length }, start };
}

/** Infinity or an inexact number only beyond what {@link MAX_TENSOR} lets pass. */
function product(shape: readonly number[]): number {
  return shape.includes(0) ? 0 : shape.reduce((a, b) => a * b, 1);
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isCounts(value: unknown): value is number[] {
  return Array.isArray(value) && value.every((item) => Number.isSafeInteger(item) && item >= 0);
}

function malformed(source: string, reason: string): Failure {
  return new Failure("content", `${source} isn't a valid safetensors file: ${reason}`);
}
