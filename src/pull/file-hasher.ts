/** The digests of local files, on all cores: one file is one thread's work. */
import { availableParallelism } from "node:os";
import { Gate } from "../lib/pool.ts";
import type { Digest } from "../oci/digest.ts";
import { digestFile } from "./blobs.ts";
import type { Report } from "./engine/protocol.ts";
import { Thread, Threads } from "./engine/threads.ts";

/** Faster together than any disk, and each costs memory. */
const MOST_THREADS = 8;
/** Bytes up to which a file is hashed here: a thread would have to be started for it. */
const SMALL = 4 * 1024 * 1024;

interface Hashed {
  readonly path: string;
  readonly thread: Thread;
  readonly digest: PromiseWithResolvers<Digest>;
}

export class FileHasher implements Disposable {
  /** Files that are hashed at a time. */
  readonly width = Math.min(MOST_THREADS, availableParallelism());
  readonly #threads = new Threads(() => this.#startThread(), this.width);
  /** A disk is read best from front to back, and a thread that has two files reads them in turns. */
  readonly #gate = new Gate(this.width);
  readonly #files = new Map<number, Hashed>();
  #next = 0;

  /**
   * The sha256 of a file that has `size` bytes, which is read once.
   *
   * @throws the system's error when it can't be read, the signal's reason
   */
  async digest(path: string, size: number, signal?: AbortSignal): Promise<Digest> {
    if (size <= SMALL) return digestFile(path, "sha256", signal);
    return this.#gate.run(() => this.#digest(path, size, signal));
  }

  async #digest(path: string, size: number, signal: AbortSignal | undefined): Promise<Digest> {
    signal?.throwIfAborted();
    const job = this.#next++;
    const thread = this.#threads.pick();
    const digest = Promise.withResolvers<Digest>();
    const stop = () => digest.reject(signal?.reason);
    this.#files.set(job, { path, thread, digest });
    thread.load += size;
    signal?.addEventListener("abort", stop, { once: true });
    try {
      thread.send({ type: "open", job, path, size, algorithm: "sha256", isReadOnly: true });
      thread.send({ type: "advance", job, position: size });
      return await digest.promise;
    } finally {
      signal?.removeEventListener("abort", stop);
      thread.send({ type: "close", job });
      thread.load -= size;
      this.#files.delete(job);
    }
  }

  [Symbol.dispose](): void {
    this.#threads.end();
  }

  #startThread(): Thread {
    const thread: Thread = new Thread(
      undefined,
      (report) => this.#hear(report),
      (error) => {
        for (const file of this.#files.values()) {
          if (file.thread === thread) file.digest.reject(error);
        }
      },
    );
    return thread;
  }

  #hear(report: Report): void {
    const file = "job" in report && this.#files.get(report.job);
    if (!file) return;
    if (report.type === "hashed") file.digest.resolve(report.digest as Digest);
    if (report.type !== "broken") return;
    const { message, code } = report;
    file.digest.reject(Object.assign(new Error(message), { code, path: file.path }));
  }
}
