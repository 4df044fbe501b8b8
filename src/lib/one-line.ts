/**
 * `text` on one line and without control characters, for messages and logs whose parts may come
 * from outside: line breaks become spaces; what else would move the cursor, colour the terminal or
 * turn the direction of writing is shown as an escape.
 */
export function oneLine(text: string): string {
  return text
    .trim()
    .replace(/\s*[\r\n]+\s*/g, " ")
    .replace(
      /[\u0000-\u001f\u007f-\u009f\u2028-\u202e\u2066-\u2069]/g,
      (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`,
    );
}
