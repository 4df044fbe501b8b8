/** The progress of a transfer on stderr: `--progress auto|tty|plain|json|none`. */
import type { Settings } from "../../config/schema.ts";
import { formatByteSize } from "../../lib/byte-size.ts";
import { formatDuration } from "../../lib/duration.ts";
import { oneLine } from "../../lib/one-line.ts";
import type { EventListener, TransferEvent } from "../../pull/events.ts";
import type { ErrorOutput } from "../stderr.ts";
import { nameOf, renderFrame } from "./frame.ts";
import { ObjectLines, type Rhythm } from "./ndjson.ts";

export type ProgressMode = Settings["progress"];

type Progress = TransferEvent & { type: "progress" };

const usualRhythm: Rhythm = { pause: 250, heartbeat: 10_000 };

/** Lines that say which blob was verified; of further ones only the number is told. */
const maxVerifiedLines = 40;

/** Who draws what it hears until it is disposed of. */
export interface ProgressDrawing extends Disposable {
  readonly listener: EventListener;
}

/** Draws events on `stderr`. `auto` is `tty` on a terminal that can do it, else `plain`. */
export function drawProgress(
  mode: ProgressMode,
  stderr: ErrorOutput,
  rhythm: Rhythm = usualRhythm,
): ProgressDrawing {
  switch (mode === "auto" || mode === "tty" ? (stderr.isTTY ? "tty" : "plain") : mode) {
    case "none":
      return { listener: () => {}, [Symbol.dispose]() {} };
    case "json":
      return new ObjectLines((line) => stderr.write(line), rhythm);
    case "tty":
      return {
        listener: new Story(stderr, (event) => {
          stderr.status(event ? renderFrame(event, stderr.columns, stderr.rows) : []);
        }).listener,
        [Symbol.dispose]: () => stderr.status([]),
      };
    default:
      return drawPlain(stderr, rhythm);
  }
}

/** Now and then a line that says how far it is, or at least that it goes on. */
function drawPlain(stderr: ErrorOutput, { heartbeat }: Rhythm): ProgressDrawing {
  let latest: Progress | undefined;
  const timer = setInterval(() => {
    stderr.write(`${latest ? renderProgress(latest) : "still at work"}\n`);
  }, heartbeat);
  timer.unref();
  return {
    listener: new Story(stderr, (event) => {
      latest = event;
    }).listener,
    [Symbol.dispose]: () => clearInterval(timer),
  };
}

/** The lines that stay. How far it is, which comes and goes, is handed to `show`. */
class Story {
  private started = performance.now();
  private isCheck = false;
  private isIdle = false;
  private hasWaited = false;
  private latest: Progress | undefined;
  private verified = 0;
  private failures = 0;
  private failureToldAt = Number.NEGATIVE_INFINITY;

  constructor(
    private readonly stderr: ErrorOutput,
    private readonly show: (event: Progress | undefined) => void,
  ) {}

  readonly listener: EventListener = (event) => {
    switch (event.type) {
      case "start":
        this.start(event);
        break;
      case "progress":
        this.latest = event;
        this.show(event);
        break;
      case "waiting":
        this.wait(event);
        break;
      case "verified":
        this.verify(event);
        break;
      case "retry":
        this.retry(event);
        break;
      case "warning":
        this.say(`warning: ${event.message}`);
        break;
      case "done":
        this.latest = undefined;
        this.show(undefined);
        this.done(event);
        break;
      case "error":
        // The error itself is said when the command ends.
        this.show(undefined);
    }
  };

  private start({ total, atMost, check }: TransferEvent & { type: "start" }): void {
    this.started = performance.now();
    this.verified = 0;
    this.hasWaited = false;
    this.isCheck = check ?? false;
    this.isIdle = total === 0;
    const verb = check ? "check" : "transfer";
    if (!this.isIdle) this.say(`to ${verb}: ${atMost ? "at most " : ""}${formatByteSize(total)}`);
    else this.say(check ? "nothing to check" : "nothing to transfer: everything was there already");
  }

  /** Who fetches one blob of a model fetches the others too. */
  private wait(event: TransferEvent & { type: "waiting" }): void {
    if (this.hasWaited) return;
    this.hasWaited = true;
    this.say(`another process is fetching ${nameOf(event) ?? "a blob"}: waiting for it`);
  }

  /** A blob has a line of its own when it is verified, and none among those in flight. */
  private verify(event: TransferEvent & { type: "verified" }): void {
    this.verified++;
    if (this.verified > maxVerifiedLines) return;
    if (this.latest) {
      const blobs = this.latest.blobs?.filter(({ digest }) => digest !== event.digest);
      this.latest = { ...this.latest, ...(blobs && { blobs }) };
      this.show(this.latest);
    }
    this.say(`verified ${nameOf(event) ?? "a blob"}`);
  }

  /** Many connections may fail at once: a line a second is enough. */
  private retry({ attempt, delay, reason }: TransferEvent & { type: "retry" }): void {
    this.failures++;
    const now = performance.now();
    if (now - this.failureToldAt < 1000) return;
    const others = this.failures - 1;
    const untold = others > 0 ? ` (and ${others} more attempt${others > 1 ? "s" : ""} failed)` : "";
    this.failureToldAt = now;
    this.failures = 0;
    this.say(
      `attempt ${attempt} failed, the next follows in ${seconds(delay)}: ${reason}${untold}`,
    );
  }

  private done({ completed }: TransferEvent & { type: "done" }): void {
    const untold = this.verified - maxVerifiedLines;
    if (untold > 0) this.say(`verified ${untold} more`);
    if (this.isIdle) return;
    const elapsed = performance.now() - this.started;
    const rate = elapsed > 0 ? (completed / elapsed) * 1000 : 0;
    if (completed === 0 && !this.isCheck) this.say("done: everything was there already");
    else
      this.say(
        `${this.isCheck ? "checked" : "done"}: ${formatByteSize(completed)} in ${seconds(elapsed)}, ${formatByteSize(Math.round(rate))}/s`,
      );
  }

  private say(line: string): void {
    this.stderr.write(`${oneLine(line)}\n`);
  }
}

/** `42% 1.5 GiB of 3.6 GiB, 512 MiB/s, 4s left, model-00001.safetensors` */
function renderProgress(event: Progress): string {
  const { completed, total, rate } = event;
  const percent = total > 0 ? Math.floor((completed / total) * 100) : 100;
  const left = rate > 0 ? `, ${seconds(((total - completed) / rate) * 1000)} left` : "";
  const name = nameOf(event);
  return oneLine(
    `${percent}% ${formatByteSize(completed)} of ${formatByteSize(total)}, ${formatByteSize(rate)}/s${left}${name ? `, ${name}` : ""}`,
  );
}

function seconds(milliseconds: number): string {
  return milliseconds < 1000
    ? `${(milliseconds / 1000).toFixed(1)}s`
    : formatDuration(Math.round(milliseconds / 1000) * 1000);
}
