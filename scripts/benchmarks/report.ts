/** Results as a table that goes into an issue as it is. */

export interface Result {
  readonly what: string;
  /** With its unit. */
  readonly ours: string;
  /** Who it is compared with, and their value. */
  readonly peer?: string;
  /** Ours divided by the peer's. */
  readonly ratio?: number;
  /** As in the issue, for example `>= 0.9 x`. */
  readonly target?: string;
  /** Undefined where there is no target. */
  readonly passes?: boolean;
}

export function formatTable(results: readonly Result[]): string {
  const rows = results.map((result) => [
    result.what,
    result.ours,
    result.peer ?? "",
    result.ratio === undefined ? "" : `${result.ratio.toFixed(2)} x`,
    result.target ?? "",
    result.passes === undefined ? "" : result.passes ? "PASS" : "**MISS**",
  ]);
  const table = [["", "ocireg", "peer", "ratio", "target", ""], Array(6).fill("---"), ...rows];
  return table.map((row) => `| ${row.join(" | ")} |\n`).join("");
}

/** Compares with a peer's value. `atLeast` and `atMost` bound the ratio. */
export function compare(
  what: string,
  ours: number,
  peer: { readonly name: string; readonly value: number },
  format: (value: number) => string,
  bound: { readonly atLeast?: number; readonly atMost?: number } = {},
): Result {
  const ratio = ours / peer.value;
  const { atLeast, atMost } = bound;
  return {
    what,
    ours: format(ours),
    peer: `${peer.name} ${format(peer.value)}`,
    ratio,
    ...(atLeast !== undefined && { target: `>= ${atLeast} x`, passes: ratio >= atLeast }),
    ...(atMost !== undefined && { target: `<= ${atMost} x`, passes: ratio <= atMost }),
  };
}

/** Holds a value against a limit of its own. */
export function limit(
  what: string,
  ours: number,
  format: (value: number) => string,
  atMost: number,
): Result {
  return { what, ours: format(ours), target: `<= ${format(atMost)}`, passes: ours <= atMost };
}

export const gigabytesPerSecond = (value: number): string => `${value.toFixed(2)} GB/s`;
export const perSecond = (value: number): string => `${Math.round(value)} req/s`;
export const milliseconds = (value: number): string => `${value.toFixed(1)} ms`;
export const megabytes = (value: number): string => `${Math.round(value / 1e6)} MB`;
export const cpuSeconds = (value: number): string => `${value.toFixed(2)} CPU s/GB`;

export function median(values: readonly number[]): number {
  return percentile(values, 50);
}

/** The smallest value that `percent` of all values don't exceed. */
export function percentile(values: readonly number[], percent: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  const index = Math.max(0, Math.ceil((percent / 100) * sorted.length) - 1);
  return sorted[index] ?? Number.NaN;
}
