/** Readers over another one: of a file within an archive, in larger steps, with a memory. */
import type { RangeReader } from "./range-reader.ts";

/** The part of `outer` that is a file within it. */
export function readerWithin(outer: RangeReader, offset: number, size: number): RangeReader {
  return {
    size,
    read: (start, end) => outer.read(offset + Math.min(start, size), offset + Math.min(end, size)),
  };
}

/** Reads at least `length` bytes at a time, for who goes through content in small steps. */
export function readingAhead(reader: RangeReader, length: number): RangeReader {
  let first = 0;
  let bytes: Uint8Array = new Uint8Array(0);
  return {
    size: reader.size,
    async read(start, end) {
      const to = Math.min(end, reader.size);
      if (start < first || to > first + bytes.byteLength) {
        bytes = await reader.read(start, Math.max(to, Math.min(start + length, reader.size)));
        first = start;
      }
      return bytes.subarray(start - first, to - first);
    },
  };
}

/**
 * Keeps the beginning of content as far as it was read, for headers that several ask for.
 *
 * @param first bytes that are read at once
 */
export function rememberingStart(reader: RangeReader, first: number): RangeReader {
  let known: Uint8Array = new Uint8Array(0);
  return {
    size: reader.size,
    async read(start, end) {
      const to = Math.min(end, reader.size);
      if (start > known.byteLength) return reader.read(start, to);
      if (to > known.byteLength) {
        const until = Math.max(to, Math.min(first, reader.size));
        const more = await reader.read(known.byteLength, until);
        known = known.byteLength === 0 ? more : Buffer.concat([known, more]);
      }
      return known.subarray(start, to);
    },
  };
}

/** Opens content only when somebody reads of it. */
export function openedWhenRead(size: number, open: () => Promise<RangeReader>): RangeReader {
  let opened: Promise<RangeReader> | undefined;
  return {
    size,
    async read(start, end) {
      opened ??= open();
      return (await opened).read(start, end);
    },
  };
}
