/** The headers of weight files on the local disk. */
import { type FileHandle, open } from "node:fs/promises";
import { type GgufHead, MAX_GGUF_HEAD, parseGgufHead } from "../model/gguf.ts";
import {
  parseSafetensorsHeader,
  SAFETENSORS_PREFIX,
  type SafetensorsHeader,
  safetensorsHeaderLength,
} from "../model/safetensors.ts";

/** Bytes that are read first of a GGUF file; most heads fit. */
const FIRST_GGUF_READ = 1024 * 1024;

/**
 * @param source what the file is, for messages
 * @throws {Failure} `content` when it isn't a valid safetensors file
 */
export async function readSafetensorsHeader(
  path: string,
  source: string,
): Promise<SafetensorsHeader> {
  const handle = await open(path, "r");
  try {
    const { size } = await handle.stat();
    const prefix = await read(handle, 0, SAFETENSORS_PREFIX);
    const length = safetensorsHeaderLength(prefix, source);
    return parseSafetensorsHeader(await read(handle, SAFETENSORS_PREFIX, length), size, source);
  } finally {
    await handle.close();
  }
}

/**
 * @param source what the file is, for messages
 * @throws {Failure} `content` when it isn't a valid GGUF file
 */
export async function readGgufHead(path: string, source: string): Promise<GgufHead> {
  const handle = await open(path, "r");
  try {
    const { size } = await handle.stat();
    for (let length = FIRST_GGUF_READ; ; length *= 4) {
      const bytes = await read(handle, 0, Math.min(length, size, MAX_GGUF_HEAD));
      const head = parseGgufHead(bytes, size, source);
      if (head) return head;
    }
  } finally {
    await handle.close();
  }
}

/** The bytes from `position`, fewer than `length` at the end of the file. */
async function read(handle: FileHandle, position: number, length: number): Promise<Uint8Array> {
  const { size } = await handle.stat();
  const bytes = new Uint8Array(Math.max(0, Math.min(length, size - position)));
  let filled = 0;
  while (filled < bytes.byteLength) {
    const { bytesRead } = await handle.read(
      bytes,
      filled,
      bytes.byteLength - filled,
      position + filled,
    );
    if (bytesRead === 0) break;
    filled += bytesRead;
  }
  return bytes.subarray(0, filled);
}
