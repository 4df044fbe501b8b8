/** What a file is by its first bytes, where nothing else says it. */
import { MAX_SAFETENSORS_HEADER, SAFETENSORS_PREFIX } from "./safetensors.ts";

/** Bytes of a file that {@link sniff} wants; fewer only where the file ends. */
export const SNIFF_LENGTH = 512;

export type Content = "safetensors" | "gguf" | "tar";

/** Undefined when it is something else. The content needn't be valid: its reader tells. */
export function sniff(start: Uint8Array): Content | undefined {
  if (textAt(start, 0, 4) === "GGUF") return "gguf";
  if (textAt(start, 257, 5) === "ustar") return "tar";
  if (start.byteLength <= SAFETENSORS_PREFIX || start[SAFETENSORS_PREFIX] !== 0x7b)
    return undefined;
  const length = new DataView(start.buffer, start.byteOffset).getBigUint64(0, true);
  return length >= 2n && length <= BigInt(MAX_SAFETENSORS_HEADER) ? "safetensors" : undefined;
}

function textAt(bytes: Uint8Array, offset: number, length: number): string {
  return String.fromCharCode(...bytes.subarray(offset, offset + length));
}
