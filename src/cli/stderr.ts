/** Standard error: lines that stay, and on a terminal one status line below them that doesn't. */

/** The stream underneath. */
export interface ErrorStream {
  write(text: string): unknown;
  readonly isTTY?: boolean;
  readonly columns?: number;
}

/** Milliseconds that lines nobody waits for may wait for each other. */
const gatherTime = 20;

const clearLine = "\r\u001b[2K";

export class ErrorOutput {
  #status = "";
  #gathered = "";

  constructor(private readonly stream: ErrorStream) {}

  get isTTY(): boolean {
    return this.stream.isTTY ?? false;
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
    if (this.#status === "") this.stream.write(text);
    else this.stream.write(`${clearLine}${text}${this.#status}`);
  }

  /** Shows `text` in place of the former status; an empty one removes it. Only on a terminal. */
  status(text: string): void {
    if (!this.isTTY || (text === "" && this.#status === "")) return;
    this.#status = text.slice(0, Math.max(0, (this.stream.columns ?? 80) - 1));
    this.stream.write(`${clearLine}${this.#status}`);
  }
}
