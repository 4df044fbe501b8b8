/** Standard output: results only, and at the reader's pace. */
import type { Writable } from "node:stream";
import { jsonText } from "../lib/one-line.ts";

/** The reader of stdout has gone, as `head` does when it has seen enough. */
export class BrokenPipe extends Error {
  override readonly name = "BrokenPipe";
}

export class Output {
  #error: Error | undefined;

  constructor(private readonly stream: Writable) {
    stream.on("error", (error) => {
      this.#error = error;
    });
  }

  /**
   * Resolves when the stream has taken the chunk, so that a slow reader slows the writer down.
   *
   * @throws {BrokenPipe}
   */
  async write(chunk: string | Uint8Array): Promise<void> {
    if (this.#error) throw explain(this.#error);
    await new Promise<void>((resolve, reject) => {
      this.stream.write(chunk, (error) => (error ? reject(explain(error)) : resolve()));
    });
  }

  async line(text: string): Promise<void> {
    await this.write(`${text}\n`);
  }

  /** A JSON value for machines, alone on a line. */
  async json(value: unknown): Promise<void> {
    await this.line(jsonText(value));
  }

  /** @throws {BrokenPipe} and what the source throws */
  async pipe(source: ReadableStream<Uint8Array>): Promise<void> {
    for await (const chunk of source) await this.write(chunk);
  }
}

function explain(error: Error): Error {
  const { code } = error as NodeJS.ErrnoException;
  return code === "EPIPE" || code === "ERR_STREAM_DESTROYED"
    ? new BrokenPipe("nobody reads standard output any more", { cause: error })
    : error;
}
