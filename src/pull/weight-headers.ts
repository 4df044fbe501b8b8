/** The headers of weight files, on the local disk or where only parts of them are read. */
import { open } from "node:fs/promises";
import { type GgufHead, MAX_GGUF_HEAD, parseGgufHead } from "../model/gguf.ts";
import {
  parseSafetensorsHeader,
  SAFETENSORS_PREFIX,
  type SafetensorsHeader,
  safetensorsHeaderLength,
} from "../model/safetensors.ts";
import { fileReader, type RangeReader } from "./range-reader.ts";

/** Bytes that are read first of a GGUF file; most heads fit. */
const FIRST_GGUF_READ = 1024 * 1024;

/**
 * @param source what the file is, for messages
 * @throws {Failure} `content` when it isn't a valid safetensors file
 */
export function readSafetensorsHeader(path: string, source: string): Promise<SafetensorsHeader> {
  return withFile(path, (file) => safetensorsHeaderIn(file, source));
}

/**
 * @param source what the file is, for messages
 * @throws {Failure} `content` when it isn't a valid GGUF file
 */
export function readGgufHead(path: string, source: string): Promise<GgufHead> {
  return withFile(path, (file) => ggufHeadIn(file, source));
}

/** @throws {Failure} `content` when it isn't a valid GGUF file */
export async function ggufHeadIn(file: RangeReader, source: string): Promise<GgufHead> {
  let bytes: Uint8Array = new Uint8Array(0);
  for (let length = FIRST_GGUF_READ; ; length *= 4) {
    const more = await file.read(bytes.byteLength, Math.min(length, MAX_GGUF_HEAD));
    bytes = bytes.byteLength === 0 ? more : Buffer.concat([bytes, more]);
    // A file that got shorter since its size was asked for ends here.
    const size = more.byteLength === 0 ? bytes.byteLength : file.size;
    const head = parseGgufHead(bytes, size, source);
    if (head) return head;
  }
}

/** @throws {Failure} `content` when it isn't a valid safetensors file */
export async function safetensorsHeaderIn(
  file: RangeReader,
  source: string,
): Promise<SafetensorsHeader> {
  const prefix = await file.read(0, SAFETENSORS_PREFIX);
  const end = SAFETENSORS_PREFIX + safetensorsHeaderLength(prefix, source);
  const json = await file.read(SAFETENSORS_PREFIX, end);
  return parseSafetensorsHeader(json, file.size, source);
}

async function withFile<T>(path: string, work: (file: RangeReader) => Promise<T>): Promise<T> {
  const handle = await open(path, "r");
  try {
    const { size } = await handle.stat();
    return await work(fileReader(handle, size));
  } finally {
    await handle.close();
  }
}
