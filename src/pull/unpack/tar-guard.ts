/**
 * Looks at the blocks of a tar stream before the tar library does, and refuses what that would read
 * in silence as something else: it takes every type that it doesn't know, such as GNU's sparse
 * files, for a plain file, skips a size that it can't read, and buffers 8 MiB of metadata.
 */
import { malformed, refused } from "./refusal.ts";

const BLOCK = 512;

/** Types whose entries have no data, whatever their size field says. */
const bodyless = new Set(["1", "2", "3", "4", "5", "6"]);
const files = new Set(["0", "\0", "7"]);
const metadata = new Set(["x", "g", "L", "K"]);

/** Is shown a tar archive chunk by chunk. */
export class TarGuard {
  private readonly block = new Uint8Array(BLOCK);
  /** Bytes of the header block that have come. */
  private filled = 0;
  /** Bytes until the next header block. */
  private skip = 0;
  /** The content of a PAX header that is coming. */
  private pax:
    | { readonly bytes: Uint8Array; readonly isGlobal: boolean; filled: number }
    | undefined;
  /** The size that a PAX header gives the next entry. */
  private nextSize: number | undefined;
  /** Blocks of zeros one after the other: two end the archive. */
  private zeros = 0;

  /**
   * @param source what the archive is, for messages
   * @param maxHeader bytes of a PAX header or a long GNU name
   */
  constructor(
    private readonly source: string,
    private readonly maxHeader: number,
  ) {}

  /**
   * @returns how many of the chunk's bytes belong to the archive: what follows its end means nothing
   * @throws {Failure} `content` for what is refused
   */
  check(chunk: Uint8Array): number {
    let at = 0;
    while (at < chunk.byteLength && this.zeros < 2) {
      if (this.skip > 0) {
        const length = Math.min(this.skip, chunk.byteLength - at);
        this.collectPax(chunk.subarray(at, at + length));
        this.skip -= length;
        at += length;
      } else {
        const length = Math.min(BLOCK - this.filled, chunk.byteLength - at);
        this.block.set(chunk.subarray(at, at + length), this.filled);
        this.filled += length;
        at += length;
        if (this.filled === BLOCK) {
          this.filled = 0;
          this.readHeader();
        }
      }
    }
    return at;
  }

  private readHeader(): void {
    const { block } = this;
    if (block.every((byte) => byte === 0)) {
      this.zeros++;
      return;
    }
    this.zeros = 0;
    if (!hasChecksum(block)) throw malformed(this.source, "the checksum of a header is wrong");
    const type = String.fromCharCode(block[156] ?? 0);
    if (metadata.has(type)) {
      // Of two such headers before an entry the library keeps the later.
      this.nextSize = undefined;
      const size = this.sizeField();
      if (size > this.maxHeader) {
        throw refused(
          this.source,
          `it has ${size} bytes of metadata at one entry; if you trust it, raise --max-archive-header`,
        );
      }
      if (type === "x" || type === "g") {
        this.pax = { bytes: new Uint8Array(size), isGlobal: type === "g", filled: 0 };
      }
      this.skip = padded(size);
      return;
    }
    if (!files.has(type) && !bodyless.has(type)) {
      throw refused(this.source, `it has an entry of the unsupported type ${JSON.stringify(type)}`);
    }
    this.skip = bodyless.has(type) ? 0 : padded(this.nextSize ?? this.sizeField());
    this.nextSize = undefined;
  }

  private collectPax(bytes: Uint8Array): void {
    if (!this.pax) return;
    const { bytes: collected, filled, isGlobal } = this.pax;
    const part = bytes.subarray(0, collected.byteLength - filled);
    collected.set(part, filled);
    this.pax.filled += part.byteLength;
    if (this.pax.filled < collected.byteLength) return;
    this.pax = undefined;
    for (const { key, value } of this.paxRecords(collected)) {
      if (key.startsWith("GNU.sparse.")) throw refused(this.source, "it has a sparse file");
      if (key !== "size") continue;
      const size = /^\d{1,16}$/.test(value) ? Number(value) : Number.NaN;
      // Nobody means one size for all entries; one that isn't exact the library doesn't take.
      if (isGlobal || !Number.isSafeInteger(size)) {
        throw refused(this.source, "it has an entry with an invalid size");
      }
      this.nextSize = size;
    }
  }

  /** Records are `<length> <key>=<value>\n`, and a value may hold anything, line feeds too. */
  private *paxRecords(bytes: Uint8Array): Generator<{ key: string; value: string }> {
    for (let start = 0; start < bytes.byteLength; ) {
      const digits = /^\d{1,7} /.exec(
        String.fromCharCode(...bytes.subarray(start, start + 8)),
      )?.[0];
      const end = start + Number(digits ?? 0);
      const text = new TextDecoder().decode(bytes.subarray(start + (digits?.length ?? 0), end));
      const equals = text.indexOf("=");
      if (end > bytes.byteLength || equals < 1 || !text.endsWith("\n")) {
        throw refused(this.source, "it has a malformed PAX header");
      }
      yield { key: text.slice(0, equals), value: text.slice(equals + 1, -1) };
      start = end;
    }
  }

  /** Octal digits, or base 256 when the first bit is set. */
  private sizeField(): number {
    const field = this.block.subarray(124, 136);
    let size = 0;
    if ((field[0] ?? 0) & 0x80) {
      for (const byte of [(field[0] ?? 0) & 0x7f, ...field.subarray(1)]) size = size * 256 + byte;
    } else {
      size = octal(field);
    }
    if (!Number.isSafeInteger(size))
      throw refused(this.source, "it has an entry with an invalid size");
    return size;
  }
}

/** Whether the sum of a header's bytes is what it says, its own field counted as spaces. */
function hasChecksum(block: Uint8Array): boolean {
  const field = block.subarray(148, 156);
  const sum = (bytes: Uint8Array) => bytes.reduce((total, byte) => total + byte, 0);
  return sum(block) - sum(field) + field.byteLength * 0x20 === octal(field);
}

/** NaN when it is no number. */
function octal(field: Uint8Array): number {
  const digits = String.fromCharCode(...field)
    .replace(/[\0 ]+$/, "")
    .trimStart();
  return /^[0-7]*$/.test(digits) ? Number.parseInt(digits || "0", 8) : Number.NaN;
}

function padded(size: number): number {
  return Math.ceil(size / BLOCK) * BLOCK;
}
