/** Writes zip archives that are the same bytes for the same content (PKWARE's APPNOTE.TXT). */
import { deflateRawSync } from "node:zlib";

export interface ZipEntry {
  /** With `/`, relative. */
  readonly path: string;
  readonly content: Uint8Array;
  /** @default false */
  readonly executable?: boolean;
}

/** 1980-01-01, the first day of DOS time: when an archive was made would make it another one. */
const DATE = 0x0021;
const DEFLATED = 8;
/** The version of the format that is needed: 2.0, for deflate. */
const VERSION = 20;
/** Names are UTF-8. */
const UTF8 = 0x0800;
const MADE_ON_UNIX = 3 << 8;

/** @throws {RangeError} beyond 4 GiB, which would need Zip64 */
export function zip(entries: readonly ZipEntry[]): Uint8Array {
  const parts: Uint8Array[] = [];
  const directory: Uint8Array[] = [];
  let offset = 0;
  for (const { path, content, executable } of entries) {
    const name = new TextEncoder().encode(path);
    const compressed = deflateRawSync(content, { level: 6 });
    const common = [
      u16(VERSION, UTF8, DEFLATED, 0, DATE),
      u32(Bun.hash.crc32(content), compressed.byteLength, content.byteLength),
      u16(name.byteLength, 0),
    ];
    const mode = executable ? 0o100755 : 0o100644;
    directory.push(
      u32(0x02014b50),
      u16(MADE_ON_UNIX | VERSION),
      ...common,
      u16(0, 0, 0),
      u32(mode * 0x10000, offset),
      name,
    );
    const local = [u32(0x04034b50), ...common, name, compressed];
    parts.push(...local);
    offset += lengthOf(local);
  }
  const count = entries.length;
  const end = [u32(0x06054b50), u16(0, 0, count, count), u32(lengthOf(directory), offset), u16(0)];
  return Buffer.concat([...parts, ...directory, ...end]);
}

function lengthOf(parts: readonly Uint8Array[]): number {
  return parts.reduce((sum, { byteLength }) => sum + byteLength, 0);
}

function u16(...values: number[]): Uint8Array {
  const buffer = Buffer.alloc(values.length * 2);
  for (const [index, value] of values.entries()) buffer.writeUInt16LE(value, index * 2);
  return buffer;
}

function u32(...values: number[]): Uint8Array {
  const buffer = Buffer.alloc(values.length * 4);
  for (const [index, value] of values.entries()) buffer.writeUInt32LE(value, index * 4);
  return buffer;
}
