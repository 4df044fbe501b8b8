/**
 * A terminal that remembers what it shows: enough of one to see whether a status line leaves rubbish
 * behind. It refuses every escape sequence but the few that our output is meant to use.
 */

interface Line {
  cells: string[];
  /** Whether the text goes on in the next line, because this one was full. */
  wraps: boolean;
}

export class Screen {
  private lines: Line[] = [{ cells: [], wraps: false }];
  private row = 0;
  private column = 0;
  private rest = "";

  constructor(
    public columns: number,
    public rows: number,
  ) {}

  write(text: string): void {
    this.rest += text;
    while (this.rest !== "") {
      const [token] = /^(?:\u001b\[\d*[A-Za-z]|\r|\n|\u001b[\s\S]?|[\s\S])/u.exec(this.rest) ?? [
        "",
      ];
      // An escape sequence may come in two parts.
      if (token.startsWith("\u001b") && !/[A-Za-z]$/.test(token) && this.rest.length < 8) return;
      this.rest = this.rest.slice(token.length);
      this.put(token);
    }
  }

  /** A terminal that wraps its lines anew when its width changes, as most do. */
  resize(columns: number, rows: number): void {
    const before = this.lines;
    const cursor = { row: this.row, column: this.column };
    this.columns = columns;
    this.rows = rows;
    this.lines = [];
    let logical: string[] = [];
    let cursorAt: number | undefined;
    before.forEach((line, index) => {
      if (index === cursor.row) cursorAt = logical.length + cursor.column;
      logical.push(...line.cells);
      if (line.wraps) return;
      const first = this.lines.length;
      do {
        const cells = logical.splice(0, columns);
        this.lines.push({ cells, wraps: logical.length > 0 });
      } while (logical.length > 0);
      if (cursorAt !== undefined) {
        this.row = Math.min(first + Math.floor(cursorAt / columns), this.lines.length - 1);
        this.column = cursorAt - (this.row - first) * columns;
        cursorAt = undefined;
      }
      logical = [];
    });
  }

  /** All that there is to see and to scroll back to, without empty lines at the end. */
  text(): string[] {
    const texts = this.lines.map(({ cells }) => cells.join("").trimEnd());
    while (texts.at(-1) === "") texts.pop();
    return texts;
  }

  /** Whether the next text would begin a line of its own. */
  get isAtLineStart(): boolean {
    return this.column === 0;
  }

  private put(token: string): void {
    if (token === "\r") this.column = 0;
    else if (token === "\n") this.lineFeed();
    else if (/^\u001b\[\d*A$/.test(token)) {
      const top = Math.max(0, this.lines.length - this.rows);
      this.row = Math.max(top, this.row - (Number.parseInt(token.slice(2), 10) || 1));
    } else if (token === "\u001b[J") {
      this.lines.length = this.row + 1;
      this.line().cells.length = Math.min(this.line().cells.length, this.column);
      this.line().wraps = false;
    } else if (/\p{Cc}/u.test(token)) {
      throw new Error(`the terminal was sent ${JSON.stringify(token)}`);
    } else this.print(token);
  }

  private print(character: string): void {
    const width = Bun.stringWidth(character);
    if (width === 0) return;
    if (this.column + width > this.columns) {
      this.line().wraps = true;
      this.lineFeed();
    }
    const { cells } = this.line();
    while (cells.length < this.column) cells.push(" ");
    cells[this.column] = character;
    if (width === 2) cells[this.column + 1] = "";
    this.column += width;
  }

  private lineFeed(): void {
    this.row++;
    this.column = 0;
    if (this.row === this.lines.length) this.lines.push({ cells: [], wraps: false });
  }

  private line(): Line {
    const line = this.lines[this.row];
    if (!line) throw new Error(`the terminal has no line ${this.row}`);
    return line;
  }
}
