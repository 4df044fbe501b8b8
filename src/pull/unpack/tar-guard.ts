/**
 * Looks at the blocks of a tar stream before the tar library does, and refuses what that would read
 * in silence as something else: it takes every type that it doesn't know, such as GNU's sparse
 * files, for a plain file, skips a size that it can't read, and buffers 8 MiB of metadata.
 */
import {
  hasTarChecksum,
  isBodyless,
  paddedSize,
  paxRecords,
  TAR_BLOCK,
  tarSize,
} from "../../model/tar-header.ts";
import { malformed, refused } from "./refusal.ts";

const files = new Set(["0", "\0", "7"]);
const metadata = new Set(["x", "g", "L", "K"]);

/** Is shown a tar archive chunk by chunk. */
export class TarGuard {
  private readonly block = new Uint8Array(TAR_BLOCK);
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
        const length = Math.min(TAR_BLOCK - this.filled, chunk.byteLength - at);
        this.block.set(chunk.subarray(at, at + length), this.filled);
        this.filled += length;
        at += length;
        if (this.filled === TAR_BLOCK) {
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
    if (!hasTarChecksum(block)) throw malformed(this.source, "the checksum of a header is wrong");
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
      this.skip = paddedSize(size);
      return;
    }
    if (!files.has(type) && !isBodyless(type)) {
      throw refused(this.source, `it has an entry of the unsupported type ${JSON.stringify(type)}`);
    }
    this.skip = isBodyless(type) ? 0 : paddedSize(this.nextSize ?? this.sizeField());
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
    const records = paxRecords(collected);
    if (!records) throw refused(this.source, "it has a malformed PAX header");
    for (const [key, value] of records) {
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

  private sizeField(): number {
    const size = tarSize(this.block);
    if (!Number.isSafeInteger(size)) {
      throw refused(this.source, "it has an entry with an invalid size");
    }
    return size;
  }
}
