/** Byte counts as people write them: `4MiB`, `10GB`, `512`. In code a size is a number of bytes. */

const factors: Readonly<Record<string, number>> = {
  "": 1,
  b: 1,
  kb: 1e3,
  mb: 1e6,
  gb: 1e9,
  tb: 1e12,
  k: 2 ** 10,
  kib: 2 ** 10,
  m: 2 ** 20,
  mib: 2 ** 20,
  g: 2 ** 30,
  gib: 2 ** 30,
  t: 2 ** 40,
  tib: 2 ** 40,
};

/**
 * Bytes; undefined when `text` isn't a size. `KiB`, `MiB`, … and the bare `K`, `M`, … are powers of
 * 1024; `kB`, `MB`, … are powers of 1000. The case of the unit doesn't matter.
 */
export function parseByteSize(text: string): number | undefined {
  const match = /^(\d{1,16}(?:\.\d{1,6})?) ?([a-zA-Z]{0,3})$/.exec(text);
  const factor = factors[match?.[2]?.toLowerCase() ?? ""];
  if (!match || factor === undefined) return undefined;
  const bytes = Math.round(Number(match[1]) * factor);
  return Number.isSafeInteger(bytes) ? bytes : undefined;
}

/** For people: `0 B`, `512 B`, `1.5 KiB`, `14.96 GiB`; three to four digits, never exact above 1 KiB. */
export function formatByteSize(bytes: number): string {
  if (bytes < 1024) return `${bytes} B`;
  const units = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
  let value = bytes / 1024;
  let unit = 0;
  // 1023.995 would be shown as 1024.
  while (value >= 1023.995 && unit < units.length - 1) {
    value /= 1024;
    unit++;
  }
  const digits = value < 10 ? 2 : value < 100 ? 1 : 0;
  return `${value.toFixed(digits).replace(/\.0+$/, "")} ${units[unit]}`;
}
