/** When to try again: pure functions over times in milliseconds. */

export interface BackoffOptions {
  /** Upper bound of the first delay. @default 500 */
  readonly base?: number;
  /** Upper bound of every delay. @default 30_000 */
  readonly max?: number;
  /** A number in [0, 1). @default Math.random */
  readonly random?: () => number;
}

/**
 * The delay before attempt `attempt + 1`, in milliseconds. The bound doubles with each attempt
 * (counted from 1); the delay lies anywhere in its upper half, so that many clients which failed
 * together don't come back together.
 */
export function backoffDelay(attempt: number, options: BackoffOptions = {}): number {
  const { base = 500, max = 30_000, random = Math.random } = options;
  const bound = Math.min(max, base * 2 ** Math.max(0, attempt - 1));
  return bound / 2 + (bound / 2) * random();
}

/**
 * What a `Retry-After` header asks for, in milliseconds from `now` (RFC 9110, 10.2.3): seconds or an
 * HTTP date. Undefined when there is none or it says nothing.
 */
export function parseRetryAfter(
  header: string | null,
  now: number = Date.now(),
): number | undefined {
  const text = header?.trim() ?? "";
  if (/^\d{1,9}$/.test(text)) return Number(text) * 1000;
  // Dates begin with the name of a day; Date.parse takes much that isn't one.
  if (!/^(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)[a-z]*,? /.test(text)) return undefined;
  const time = Date.parse(text);
  return Number.isNaN(time) ? undefined : Math.max(0, time - now);
}
