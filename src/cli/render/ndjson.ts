/** `--progress json`: one object a line, at most four a second, and a heartbeat. */
import { jsonText } from "../../lib/one-line.ts";
import type { EventListener, Subject, TransferEvent } from "../../pull/events.ts";

type Progress = TransferEvent & { type: "progress" };
/** Events that come as often as there are blobs. */
type Frequent = TransferEvent & { type: "waiting" | "verified" | "retry" };

/** Milliseconds. */
export interface Rhythm {
  /** Between two lines. */
  readonly pause: number;
  /** Without a sign of life. */
  readonly heartbeat: number;
}

/**
 * Writes events to `write`. Progress that comes too early, or that tells nothing new, is left out.
 * What was verified or failed in the meantime is told in one line: that of the last one, with
 * `blobs`, all that were verified or are waited for, or `count`, how many attempts failed. `start`, `warning`, `done`
 * and `error` never wait.
 */
export class ObjectLines implements Disposable {
  private untold: Frequent[] = [];
  private writtenAt = Number.NEGATIVE_INFINITY;
  private last: Progress = { type: "progress", completed: 0, total: 0, rate: 0 };
  private readonly timer: ReturnType<typeof setInterval>;

  constructor(
    private readonly write: (line: string) => void,
    private readonly rhythm: Rhythm,
  ) {
    this.timer = setInterval(() => this.tick(), rhythm.pause);
    this.timer.unref();
  }

  readonly listener: EventListener = (event) => {
    switch (event.type) {
      case "progress":
        if (this.mayWrite() && event.completed !== this.last.completed) this.put(event);
        this.last = event;
        return;
      case "waiting":
      case "verified":
      case "retry":
        this.untold.push(event);
        if (this.mayWrite()) this.flush();
        return;
      default:
        this.flushAll();
        if ("total" in event) this.last = { ...event, type: "progress", rate: 0 };
        this.put(event);
    }
  };

  [Symbol.dispose](): void {
    clearInterval(this.timer);
    this.flushAll();
  }

  private tick(): void {
    if (!this.mayWrite()) return;
    if (this.untold.length > 0) this.flush();
    else if (performance.now() - this.writtenAt >= this.rhythm.heartbeat) this.put(this.last);
  }

  private mayWrite(): boolean {
    return performance.now() - this.writtenAt >= this.rhythm.pause;
  }

  /** A line for those that were verified, or for the attempts that failed: the other one follows. */
  private flush(): void {
    const [first] = this.untold;
    if (!first) return;
    const alike = this.untold.filter(({ type }) => type === first.type);
    this.untold = this.untold.filter(({ type }) => type !== first.type);
    const latest = alike.at(-1) ?? first;
    if (alike.length === 1) this.put(latest);
    else if (latest.type === "retry") this.put({ ...latest, count: alike.length });
    else this.put({ ...latest, blobs: alike.map(subjectOf) });
  }

  private flushAll(): void {
    while (this.untold.length > 0) this.flush();
  }

  private put(event: object): void {
    this.writtenAt = performance.now();
    this.write(`${jsonText(event)}\n`);
  }
}

function subjectOf({ digest, path, kind, size }: Subject): Subject {
  return {
    ...(digest !== undefined && { digest }),
    ...(path !== undefined && { path }),
    ...(kind !== undefined && { kind }),
    ...(size !== undefined && { size }),
  };
}
