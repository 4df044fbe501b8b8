/** `WWW-Authenticate`: RFC 9110, 11.6.1. */

/** One way to authenticate that a host offers. */
export interface Challenge {
  /** In lower case: `bearer`, `basic`. */
  readonly scheme: string;
  /** Names in lower case. The first value of a name counts. */
  readonly parameters: ReadonlyMap<string, string>;
}

/** Longer than any challenge in use; bounds the work on hostile input. */
const MAX_LENGTH = 16 * 1024;

const SEPARATORS = /[\s,]*/y;
const TOKEN = /[!#$%&'*+.^_`|~0-9A-Za-z-]+/y;
const TOKEN68 = /[ \t]+[A-Za-z0-9._~+/-]+=*[ \t]*(?=,|$)/y;
const EQUALS = /[ \t]*=[ \t]*/y;
const QUOTED = /"([^"\\]*(?:\\.[^"\\]*)*)"?/sy;
/** Wider than the grammar: some registries don't quote their realm. */
const UNQUOTED = /[^\s,]*/y;

/**
 * All challenges of a header, in order; several header fields may have been joined by commas. What
 * can't be read is skipped, as a later challenge may be one that can.
 */
export function parseChallenges(header: string | null): Challenge[] {
  if (!header) return [];
  const text = header.slice(0, MAX_LENGTH);
  let position = 0;
  const take = (pattern: RegExp): RegExpExecArray | null => {
    pattern.lastIndex = position;
    const match = pattern.exec(text);
    if (match) position = pattern.lastIndex;
    return match;
  };

  const challenges: Challenge[] = [];
  while (position < text.length) {
    take(SEPARATORS);
    const scheme = take(TOKEN)?.[0];
    if (scheme === undefined) {
      position++;
      continue;
    }
    const parameters = new Map<string, string>();
    challenges.push({ scheme: scheme.toLowerCase(), parameters });
    // A token68 stands in place of parameters; neither Bearer nor Basic has one.
    if (take(TOKEN68)) continue;
    for (;;) {
      const start = position;
      take(SEPARATORS);
      const name = take(TOKEN)?.[0].toLowerCase();
      if (name === undefined || !take(EQUALS)) {
        // Not a parameter: the next challenge begins here.
        position = start;
        break;
      }
      const quoted = take(QUOTED)?.[1]?.replace(/\\(.)/gs, "$1");
      const value = quoted ?? take(UNQUOTED)?.[0] ?? "";
      if (!parameters.has(name)) parameters.set(name, value);
    }
  }
  return challenges;
}
