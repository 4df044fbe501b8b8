/** Standard error: lines that stay, and on a terminal some status lines below them that don't. */
import { cellsOf, cutEnd } from "./render/cells.ts";

/** The stream underneath. Columns and rows are those of the moment; 0 or nothing when unknown. */
export interface ErrorStream {
  write(text: string): unknown;
  readonly isTTY?: boolean;
  readonly columns?: number;
  readonly rows?: number;
}

/** Milliseconds that lines nobody waits for may wait for each other. */
const gatherTime = 20;

/** What a terminal has that doesn't say it. */
const usualColumns = 80;
const usualRows = 24;

const clearBelow = "\u001b[J";
const cursorUp = (rows: number) => (rows > 0 ? `\u001b[${rows}A` : "");

export class ErrorOutput {
  #status: readonly string[] = [];
  #shownColumns = 0;
  #gathered = "";

  /** @param canMove whether the cursor of a terminal can be moved */
  constructor(
    private readonly stream: ErrorStream,
    private readonly canMove = true,
  ) {}

  /** Whether it is a terminal that can show a status. */
  get isTTY(): boolean {
    return this.canMove && (this.stream.isTTY ?? false);
  }

  get columns(): number {
    return this.stream.columns || usualColumns;
  }

  get rows(): number {
    return this.stream.rows || usualRows;
  }

  /**
   * Writes whole lines a moment later, many at once: the request log of a busy server would
   * otherwise cost as much as the requests.
   */
  writeSoon(text: string): void {
    if (this.#gathered === "") setTimeout(() => this.flush(), gatherTime).unref();
    this.#gathered += text;
  }

  /** Writes what {@link writeSoon} has kept. */
  flush(): void {
    if (this.#gathered !== "") this.write("");
  }

  /** Writes whole lines. */
  write(lines: string): void {
    const text = this.#gathered + lines;
    this.#gathered = "";
    this.stream.write(this.#erasing() + text + this.#showing(this.#status));
  }

  /**
   * Shows lines in place of the former status; none remove it. Only on a terminal. No mode of the
   * terminal is changed and its cursor stays visible: whatever ends the process, there is nothing to
   * restore. The cursor waits at the start of the last line, where the `^C` that a terminal echoes
   * wraps nothing.
   */
  status(lines: readonly string[]): void {
    const isSame =
      this.#shownColumns === this.columns &&
      lines.length === this.#status.length &&
      lines.every((line, index) => line === this.#status[index]);
    if (!this.isTTY || isSame || (lines.length === 0 && this.#status.length === 0)) return;
    this.stream.write(this.#erasing() + this.#showing(lines));
  }

  /** Takes the status away. A terminal that became narrower since has wrapped its lines. */
  #erasing(): string {
    if (this.#status.length === 0) return "";
    const above = this.#status
      .slice(0, -1)
      .reduce((sum, line) => sum + Math.max(1, Math.ceil(cellsOf(line) / this.columns)), 0);
    return `\r${cursorUp(Math.min(above, this.rows - 1))}${clearBelow}`;
  }

  #showing(lines: readonly string[]): string {
    this.#shownColumns = this.columns;
    // A line that reached the last column, or more lines than rows, would scroll.
    this.#status = lines.slice(-this.rows).map((line) => cutEnd(line, this.columns - 1));
    return lines.length === 0 ? "" : `${this.#status.join("\n")}\r`;
  }
}
