/** Reading parts of content: of a file here, of a blob at a registry, of something within either. */
import type { FileHandle } from "node:fs/promises";

export interface RangeReader {
  /** Bytes in all. */
  readonly size: number;
  /**
   * The bytes from `start` up to and without `end`, fewer where the content ends before.
   *
   * @throws {Failure} what it takes to get them
   */
  read(start: number, end: number): Promise<Uint8Array>;
}

export function fileReader(handle: FileHandle, size: number): RangeReader {
  return {
    size,
    async read(start, end) {
      const bytes = new Uint8Array(Math.max(0, Math.min(end, size) - start));
      let filled = 0;
      while (filled < bytes.byteLength) {
        const length = bytes.byteLength - filled;
        const { bytesRead } = await handle.read(bytes, filled, length, start + filled);
        if (bytesRead === 0) break;
        filled += bytesRead;
      }
      return bytes.subarray(0, filled);
    },
  };
}
