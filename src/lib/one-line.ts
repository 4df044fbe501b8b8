/**
 * `text` on one line and without control characters, for messages and logs whose parts may come
 * from outside: line breaks become spaces; what else would move the cursor, colour the terminal,
 * turn the direction of writing or hide is shown as an escape.
 */
export function oneLine(text: string): string {
  // One pattern for a line break and the white space around it would take hours over much of that.
  return text
    .split(/[\r\n]+/)
    .map((line) => line.trim())
    .filter((line) => line !== "")
    .join(" ")
    .replace(/[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu, codeOf);
}

/** A text from outside for a message: in quotes, and at a length that can be read. */
export function quoted(text: string): string {
  return JSON.stringify(text.length > 200 ? `${text.slice(0, 200)}…` : text);
}

/**
 * `value` as JSON on one line, in which what `oneLine` shows as an escape is one, too: JSON itself
 * lets through what ends a line for some programs, and what a terminal obeys.
 */
export function jsonText(value: unknown): string {
  return JSON.stringify(value).replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, (character) =>
    character.replace(/./gs, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`),
  );
}

function codeOf(character: string): string {
  const hex = (character.codePointAt(0) ?? 0).toString(16).padStart(4, "0");
  return hex.length > 4 ? `\\u{${hex}}` : `\\u${hex}`;
}
