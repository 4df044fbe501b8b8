/** The progress of a transfer on stderr: `--progress auto|tty|plain|json|none`. */
import type { Settings } from "../../config/schema.ts";
import { formatByteSize } from "../../lib/byte-size.ts";
import { formatDuration } from "../../lib/duration.ts";
import { oneLine } from "../../lib/one-line.ts";
import type { EventListener, Subject, TransferEvent } from "../../pull/events.ts";
import type { ErrorOutput } from "../stderr.ts";

export type ProgressMode = Settings["progress"];

/** Milliseconds between two lines of `plain` about the same transfer. */
const plainInterval = 10_000;

/** Draws events on `stderr`. `auto` is `tty` on a terminal, else `plain`. */
export function drawProgress(mode: ProgressMode, stderr: ErrorOutput): EventListener {
  switch (mode === "auto" ? (stderr.isTTY ? "tty" : "plain") : mode) {
    case "none":
      return () => {};
    case "json":
      return (event) => stderr.write(`${JSON.stringify(event)}\n`);
    case "tty":
      return drawLines(stderr, (text) => stderr.status(text));
    default: {
      let last = performance.now();
      return drawLines(stderr, (text) => {
        const now = performance.now();
        if (text === "" || now - last < plainInterval) return;
        last = now;
        stderr.write(`${text}\n`);
      });
    }
  }
}

/** What stays are the blobs that were verified; what comes and goes is handed to `show`. */
function drawLines(stderr: ErrorOutput, show: (text: string) => void): EventListener {
  let started = performance.now();
  let isIdle = false;
  return (event) => {
    if (event.type === "start") {
      started = performance.now();
      isIdle = event.total === 0;
    }
    if (event.type === "progress") show(renderProgress(event));
    if (event.type === "done") show("");
    if (event.type === "done" && isIdle) return;
    const line = renderEvent(event, performance.now() - started);
    if (line !== undefined) stderr.write(`${oneLine(line)}\n`);
  };
}

function renderEvent(event: TransferEvent, elapsed: number): string | undefined {
  switch (event.type) {
    case "start":
      if (event.total === 0) return "nothing to transfer: everything was there already";
      return `to transfer: ${event.atMost ? "at most " : ""}${formatByteSize(event.total)}`;
    case "verified":
      return `verified ${nameOf(event) ?? "a blob"}`;
    case "retry":
      return `attempt ${event.attempt} failed, the next follows in ${seconds(event.delay)}: ${event.reason}`;
    case "warning":
      return `warning: ${event.message}`;
    case "done": {
      if (event.completed === 0) return "done: everything was there already";
      const rate = elapsed > 0 ? (event.completed / elapsed) * 1000 : 0;
      return `done: ${formatByteSize(event.completed)} in ${seconds(elapsed)}, ${formatByteSize(Math.round(rate))}/s`;
    }
    default:
      // The error itself is said when the command ends.
      return undefined;
  }
}

/** `42% 1.5 GiB of 3.6 GiB, 512 MiB/s, 4s left, model-00001.safetensors` */
function renderProgress(event: TransferEvent & { type: "progress" }): string {
  const { completed, total, rate } = event;
  const percent = total > 0 ? Math.floor((completed / total) * 100) : 100;
  const left = rate > 0 ? `, ${seconds(((total - completed) / rate) * 1000)} left` : "";
  const name = nameOf(event);
  return oneLine(
    `${percent}% ${formatByteSize(completed)} of ${formatByteSize(total)}, ${formatByteSize(rate)}/s${left}${name ? `, ${name}` : ""}`,
  );
}

/** A path, or `sha256:b72e50b1a692 (archive)`. */
function nameOf({ path, digest, kind }: Subject): string | undefined {
  if (path !== undefined || digest === undefined) return path;
  const short = digest.slice(0, digest.indexOf(":") + 1 + 12);
  return kind ? `${short} (${kind})` : short;
}

function seconds(milliseconds: number): string {
  return milliseconds < 1000
    ? `${(milliseconds / 1000).toFixed(1)}s`
    : formatDuration(Math.round(milliseconds / 1000) * 1000);
}
