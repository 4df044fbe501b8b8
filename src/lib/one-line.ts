/**
 * `text` on one line and without control characters, for messages and logs whose parts may come
 * from outside: line breaks become spaces; what else would move the cursor, colour the terminal,
 * turn the direction of writing or hide is shown as an escape.
 */
export function oneLine(text: string): string {
  return text
    .trim()
    .replace(/\s*[\r\n]+\s*/g, " ")
    .replace(/[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu, codeOf);
}

function codeOf(character: string): string {
  const hex = (character.codePointAt(0) ?? 0).toString(16).padStart(4, "0");
  return hex.length > 4 ? `\\u{${hex}}` : `\\u${hex}`;
}
