const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COLON = 0x3a;
const OPEN = 0x7b;
const CLOSE = 0x7d;
const OPEN_LIST = 0x5b;
const CLOSE_LIST = 0x5d;

/**
 * Whether objects and lists are nested deeper than `limit` in `text`, which needn't be JSON. To be
 * asked before `JSON.parse`, which takes a second and 100 bytes for each byte that opens one more.
 */
export function isNestedDeeper(text: string, limit: number): boolean {
  let depth = 0;
  for (let index = 0; index < text.length; index++) {
    const code = text.charCodeAt(index);
    if (code === QUOTE) index = endOfString(text, index);
    else if (code === OPEN || code === OPEN_LIST) depth++;
    else if (code === CLOSE || code === CLOSE_LIST) depth--;
    if (depth > limit) return true;
  }
  return false;
}

/**
 * The first key that stands twice in one object of `text`, at any depth, or undefined. `text` must
 * be JSON that `JSON.parse` has accepted: that keeps the last of two values and says nothing, while
 * other parsers keep the first, so that two programs read two documents in the same bytes.
 */
export function findDuplicateKey(text: string): string | undefined {
  const open: Set<string>[] = [];
  for (let index = 0; index < text.length; index++) {
    const code = text.charCodeAt(index);
    if (code === OPEN) {
      open.push(new Set());
    } else if (code === CLOSE) {
      open.pop();
    } else if (code === QUOTE) {
      const start = index;
      index = endOfString(text, start);
      if (!isKey(text, index + 1)) continue;
      const key = unquote(text.slice(start, index + 1));
      const keys = open.at(-1);
      if (keys?.has(key)) return key;
      keys?.add(key);
    }
  }
  return undefined;
}

/** The index of the quote that ends the string which begins at `start`. */
function endOfString(text: string, start: number): number {
  let end = text.indexOf('"', start + 1);
  while (end >= 0 && isEscaped(text, end)) end = text.indexOf('"', end + 1);
  return end < 0 ? text.length : end;
}

/** Whether an odd number of backslashes stands before `index`. */
function isEscaped(text: string, index: number): boolean {
  let before = index;
  while (text.charCodeAt(before - 1) === BACKSLASH) before--;
  return (index - before) % 2 === 1;
}

/** In JSON, a string is a key if and only if a colon follows it. */
function isKey(text: string, after: number): boolean {
  let index = after;
  while (text.charCodeAt(index) <= 0x20) index++;
  return text.charCodeAt(index) === COLON;
}

function unquote(literal: string): string {
  return literal.includes("\\") ? (JSON.parse(literal) as string) : literal.slice(1, -1);
}
