/** Columns for people. */

/** Beyond this a cell doesn't widen its column: the rest of its row moves to the right. */
const maxWidth = 48;

/** One line a row, its cells aligned by two spaces. */
export function table(rows: readonly (readonly string[])[]): string[] {
  const widths: number[] = [];
  for (const row of rows) {
    row.forEach((cell, column) => {
      if (cell.length <= maxWidth) widths[column] = Math.max(widths[column] ?? 0, cell.length);
    });
  }
  return rows.map((row) =>
    row
      .map((cell, column) => cell.padEnd(column < row.length - 1 ? (widths[column] ?? 0) : 0))
      .join("  ")
      .trimEnd(),
  );
}
