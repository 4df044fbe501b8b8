/**
 * The headers of a tar archive (POSIX pax, GNU), for who reads them without what lies between, and for
 * who looks at them before a library does.
 */
import { Failure } from "../lib/failure.ts";

export const TAR_BLOCK = 512;

export interface TarHeader {
  readonly name: string;
  /** One character: `0` a file, `1` a hard link, `5` a directory, `x` and `g` PAX records, `L` a long GNU name. */
  readonly type: string;
  /** Bytes of data that follow. */
  readonly size: number;
  /** Whether data follow at all, of a size that a PAX header may correct. */
  readonly hasData: boolean;
  /** Where a link leads. */
  readonly linkname: string;
}

const bodyless = new Set(["1", "2", "3", "4", "5", "6"]);

/** Whether entries of a type have no data, whatever their size field says. */
export function isBodyless(type: string): boolean {
  return bodyless.has(type);
}

/**
 * @param block of {@link TAR_BLOCK} bytes
 * @returns undefined for the block of zeros that ends an archive
 * @throws {Failure} `content` when it isn't a header
 */
export function parseTarHeader(block: Uint8Array, source: string): TarHeader | undefined {
  if (block.byteLength < TAR_BLOCK) throw malformed(source, "it is cut");
  if (block.every((byte) => byte === 0)) return undefined;
  if (!hasTarChecksum(block)) throw malformed(source, "a checksum is wrong");
  const type = String.fromCharCode(block[156] || 0x30);
  const size = tarSize(block);
  if (!Number.isSafeInteger(size)) throw malformed(source, "a size is invalid");
  const isUstar = text(block.subarray(257, 263)) === "ustar";
  const prefix = isUstar ? text(block.subarray(345, 500)) : "";
  const name = text(block.subarray(0, 100));
  const hasData = !isBodyless(type);
  return {
    name: prefix === "" ? name : `${prefix}/${name}`,
    type,
    size: hasData ? size : 0,
    hasData,
    linkname: text(block.subarray(157, 257)),
  };
}

/**
 * The records of a PAX header, `<length> <key>=<value>\n`, in their order: a value may hold anything,
 * line feeds too. Undefined when it is malformed.
 */
export function paxRecords(
  bytes: Uint8Array,
): (readonly [key: string, value: string])[] | undefined {
  const records: [string, string][] = [];
  for (let start = 0; start < bytes.byteLength; ) {
    const digits = /^\d{1,7} /.exec(String.fromCharCode(...bytes.subarray(start, start + 8)))?.[0];
    const end = start + Number(digits ?? 0);
    const record = new TextDecoder().decode(bytes.subarray(start + (digits?.length ?? 0), end));
    const equals = record.indexOf("=");
    if (end > bytes.byteLength || equals < 1 || !record.endsWith("\n")) return undefined;
    records.push([record.slice(0, equals), record.slice(equals + 1, -1)]);
    start = end;
  }
  return records;
}

/** Bytes that the data of an entry takes. */
export function paddedSize(size: number): number {
  return Math.ceil(size / TAR_BLOCK) * TAR_BLOCK;
}

/** What the size field of a header says, in bytes; NaN or no exact number when that is invalid. */
export function tarSize(block: Uint8Array): number {
  const field = block.subarray(124, 136);
  const first = field[0] ?? 0;
  // Octal digits, or base 256 when the first bit is set.
  if (!(first & 0x80)) return octal(field);
  return field.subarray(1).reduce((size, byte) => size * 256 + byte, first & 0x7f);
}

/** Whether the sum of a header's bytes is what it says, its own field counted as spaces. */
export function hasTarChecksum(block: Uint8Array): boolean {
  const field = block.subarray(148, 156);
  const sum = (bytes: Uint8Array) => bytes.reduce((total, byte) => total + byte, 0);
  return sum(block) - sum(field) + field.byteLength * 0x20 === octal(field);
}

/** NaN when it is no number. */
function octal(field: Uint8Array): number {
  const digits = String.fromCharCode(...field)
    .replace(/[\0 ]+$/, "")
    .replace(/^ +/, "");
  return /^[0-7]*$/.test(digits) ? Number.parseInt(digits || "0", 8) : Number.NaN;
}

/** Up to the first NUL. */
export function text(field: Uint8Array): string {
  const end = field.indexOf(0);
  return new TextDecoder().decode(end < 0 ? field : field.subarray(0, end));
}

function malformed(source: string, reason: string): Failure {
  return new Failure("content", `the archive ${source} is malformed: ${reason}`);
}
