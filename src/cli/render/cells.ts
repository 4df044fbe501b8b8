/** How wide text is on a terminal, counted in cells, and cutting it to fit. */

/** Stands for what was cut; not "…", which some terminals draw in two cells. */
const CUT = "..";
/** Marks upon one letter that are kept: a name of nothing but marks would cover its neighbours. */
const MAX_MARKS = 2;

/**
 * At most so many cells does a terminal use for `text`, which has no control characters. Where
 * terminals differ (letters of ambiguous width, joined emoji) the most that one of them uses counts:
 * a line that is too short looks odd, one that wraps leaves rubbish behind.
 */
export function cellsOf(text: string): number {
  let cells = 0;
  for (const character of text) cells += cellsOfCharacter(character);
  return cells;
}

/** The beginning of `text` that fits into `cells`. */
export function cutEnd(text: string, cells: number): string {
  if (cellsOf(text) <= cells) return withoutHeapedMarks(text);
  return cells <= CUT.length
    ? take([...text], cells).join("")
    : `${take([...text], cells - CUT.length).join("")}${CUT}`;
}

/**
 * A path that fits into `cells`: first its directories go, then the middle of its name, because
 * files of a model often differ in their numbers or endings.
 */
export function cutPath(path: string, cells: number): string {
  if (cellsOf(path) <= cells) return withoutHeapedMarks(path);
  const name = path.slice(path.lastIndexOf("/") + 1);
  if (cellsOf(name) <= cells) return withoutHeapedMarks(name);
  if (cells < 8) return cutEnd(name, cells);
  const end = Math.floor((cells - CUT.length) / 3);
  const letters = [...name];
  const tail = take(letters.toReversed(), end).toReversed();
  return `${take(letters, cells - CUT.length - end).join("")}${CUT}${tail.join("")}`;
}

/** Fills up with spaces to `cells`. */
export function padEnd(text: string, cells: number): string {
  return text + " ".repeat(Math.max(0, cells - cellsOf(text)));
}

export function padStart(text: string, cells: number): string {
  return " ".repeat(Math.max(0, cells - cellsOf(text))) + text;
}

function take(letters: readonly string[], cells: number): string[] {
  const taken: string[] = [];
  let left = cells;
  let marks = 0;
  for (const letter of letters) {
    const width = cellsOfCharacter(letter);
    if (width > left) break;
    marks = width === 0 ? marks + 1 : 0;
    if (marks > MAX_MARKS) continue;
    left -= width;
    taken.push(letter);
  }
  return taken;
}

function withoutHeapedMarks(text: string): string {
  return take([...text], Number.POSITIVE_INFINITY).join("");
}

function cellsOfCharacter(character: string): number {
  const code = character.codePointAt(0) ?? 0;
  if (code < 0x7f) return 1;
  // Draws the letter before it as an emoji, which may widen it.
  if (code === 0xfe0f) return 1;
  return code >= 0x1f000 && code < 0xe0000
    ? 2
    : Bun.stringWidth(character, { ambiguousIsNarrow: false });
}
