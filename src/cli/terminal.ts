/** Questions to the person at the terminal. */
import { untilAborted } from "../lib/abort.ts";

/** The stream that a person types into, and the one that shows the question. */
export interface TerminalStreams {
  readonly input: NodeJS.ReadStream;
  readonly output: { write(text: string): unknown };
}

const ENTER = /[\r\n]/;
const INTERRUPT = "\u0003";
const END = "\u0004";
const KILL_LINE = "\u0015";
const ERASE = new Set(["\u007f", "\b"]);

export class Terminal {
  /** What was typed ahead. */
  #rest = "";

  constructor(private readonly streams: TerminalStreams) {}

  /**
   * The line that is typed. A hidden one isn't shown.
   *
   * @throws the signal's reason
   */
  async ask(question: string, isHidden: boolean, signal: AbortSignal): Promise<string> {
    const { input, output } = this.streams;
    // The terminal then leaves everything to us: its echo, and also what erases and interrupts.
    if (isHidden) input.setRawMode(true);
    output.write(question);
    const { promise, resolve } = Promise.withResolvers<string>();
    const decoder = new TextDecoder();
    let line = "";
    const take = (text: string) => {
      for (const [index, character] of [...text].entries()) {
        if (ENTER.test(character) || character === END) {
          this.#rest = [...text].slice(index + 1).join("");
          return resolve(line);
        }
        if (character === INTERRUPT) process.kill(process.pid, "SIGINT");
        else if (character === KILL_LINE) line = "";
        else if (ERASE.has(character)) line = [...line].slice(0, -1).join("");
        else line += character;
      }
    };
    const onData = (chunk: Uint8Array) => take(decoder.decode(chunk, { stream: true }));
    const onEnd = () => resolve(line);
    input.on("data", onData).on("end", onEnd).resume();
    try {
      const typedAhead = this.#rest;
      this.#rest = "";
      take(typedAhead);
      return await untilAborted(promise, signal);
    } finally {
      input.off("data", onData).off("end", onEnd).pause();
      if (isHidden) {
        input.setRawMode(false);
        output.write("\n");
      }
    }
  }
}
