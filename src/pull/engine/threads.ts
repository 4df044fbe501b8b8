/** The transfer threads of this process, as the main thread sees them. */
import { availableParallelism } from "node:os";
import type { Command, Report } from "./protocol.ts";

/** More bring nothing: one thread moves about a gigabyte a second. */
const MOST_THREADS = 4;

export class Thread {
  readonly #worker: Worker;
  /** What the thread has to do, to find the one that has the least. */
  load = 0;

  constructor(
    budget: SharedArrayBuffer | undefined,
    onReport: (report: Report) => void,
    onCrash: (error: Error) => void,
  ) {
    // What arrives is garbage a moment later: collected late it would be half of the memory.
    this.#worker = new Worker(entry(), { smol: true });
    this.#worker.onmessage = ({ data }: MessageEvent<Report>) => onReport(data);
    this.#worker.onerror = ({ message }) =>
      onCrash(new Error(`a transfer thread died: ${message}`));
    this.#worker.postMessage(budget);
  }

  send(command: Command): void {
    // What came over the main thread is of no use to it any more.
    const isAlone =
      command.type === "write" && command.bytes.byteLength === command.bytes.buffer.byteLength;
    this.#worker.postMessage(command, isAlone ? [command.bytes.buffer as ArrayBuffer] : []);
  }

  end(): void {
    this.#worker.terminate();
  }
}

/** Started when they are needed. */
export class Threads {
  readonly #threads: Thread[] = [];

  constructor(
    private readonly start: () => Thread,
    private readonly most = Math.min(MOST_THREADS, availableParallelism()),
  ) {}

  /** The thread with the least to do. */
  pick(): Thread {
    const idle = this.#threads.find(({ load }) => load === 0);
    if (idle) return idle;
    if (this.#threads.length < this.most) {
      const thread = this.start();
      this.#threads.push(thread);
      return thread;
    }
    return this.#threads.reduce((least, thread) => (thread.load < least.load ? thread : least));
  }

  end(): void {
    for (const thread of this.#threads) thread.end();
  }
}

/** In an executable every entry point lies in one folder. */
function entry(): URL {
  const isCompiled = import.meta.url.includes("/$bunfs/");
  return new URL(isCompiled ? "./worker.ts" : "../../worker.ts", import.meta.url);
}
