/** How much an archive may ask for. Honest models stay far below all of it. */
export interface UnpackLimits {
  /** Bytes of all files that an artifact's archives unpack to. @default 2 TiB */
  readonly maxUnpackedSize: number;
  /** Entries of one archive; what is kept of all archives of an artifact together. @default 100_000 */
  readonly maxArchiveEntries: number;
  /**
   * How many times larger than itself a compressed archive may become; what stays below
   * {@link HARMLESS} may always. @default 100
   */
  readonly maxArchiveRatio: number;
  /** Bytes of the PAX header or the long name of one entry, at most 8 MiB. @default 1 MiB */
  readonly maxArchiveHeader: number;
  /** Bytes of memory that decompressing zstd may take, rounded down to a power of two. @default 128 MiB */
  readonly maxZstdWindow: number;
}

export const DEFAULT_LIMITS: UnpackLimits = {
  maxUnpackedSize: 2 * 1024 ** 4,
  maxArchiveEntries: 100_000,
  maxArchiveRatio: 100,
  maxArchiveHeader: 1024 ** 2,
  maxZstdWindow: 128 * 1024 ** 2,
};

/** Bytes: text and zeros shrink to a thousandth, and a small archive of them harms nobody. */
export const HARMLESS = 256 * 1024 ** 2;
