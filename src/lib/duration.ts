/** Durations as people write them: `30s`, `5m`, `1m30s`. In code a duration is a number of milliseconds. */

const milliseconds = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;
type Unit = keyof typeof milliseconds;

/** Milliseconds; undefined when `text` isn't a duration. A number without a unit isn't one, except `0`. */
export function parseDuration(text: string): number | undefined {
  if (text === "0") return 0;
  if (!/^(?:\d{1,12}(?:\.\d{1,6})?(?:ms|s|m|h|d))+$/.test(text)) return undefined;
  let total = 0;
  for (const [, amount, unit] of text.matchAll(/([\d.]+)(ms|s|m|h|d)/g)) {
    total += Number(amount) * milliseconds[unit as Unit];
  }
  return Math.round(total);
}

/** The shortest text that {@link parseDuration} reads as `total` milliseconds: `25s`, `1m30s`. */
export function formatDuration(total: number): string {
  let rest = Math.round(total);
  if (rest <= 0) return "0s";
  let text = "";
  for (const unit of ["d", "h", "m", "s", "ms"] as const) {
    const amount = Math.floor(rest / milliseconds[unit]);
    if (amount > 0) text += `${amount}${unit}`;
    rest -= amount * milliseconds[unit];
  }
  return text;
}
