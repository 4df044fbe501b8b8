/** The status of a transfer on a terminal: a line for each blob in flight and one for the total. */
import { formatByteSize } from "../../lib/byte-size.ts";
import { oneLine } from "../../lib/one-line.ts";
import type { BlobProgress, Subject, TransferEvent } from "../../pull/events.ts";
import { cutPath, padEnd, padStart } from "./cells.ts";

/** Lines for blobs: more than this nobody reads. */
const MAX_BLOBS = 10;
/** Lines that are left to what was written above. */
const ROWS_ABOVE = 3;
/** Cells that a name takes at most. */
const MAX_NAME = 48;

/** What one line tells, in bytes and bytes a second. */
interface Row {
  readonly name: string;
  readonly completed: number;
  /** Undefined when nobody knows. */
  readonly total: number | undefined;
  readonly rate: number;
}

type Column = "bar" | "percent" | "amount" | "rate" | "left";

const widths: Readonly<Record<Column, number>> = {
  bar: 12,
  percent: 4,
  amount: 18,
  rate: 10,
  left: 6,
};

/** What is shown beside the name, by the cells that a line has; the first that fits. */
const layouts: readonly { readonly from: number; readonly columns: readonly Column[] }[] = [
  { from: 72, columns: ["bar", "percent", "amount", "rate", "left"] },
  { from: 56, columns: ["bar", "percent", "rate", "left"] },
  { from: 42, columns: ["percent", "rate", "left"] },
  { from: 30, columns: ["percent", "rate"] },
  { from: 12, columns: ["percent"] },
];

/**
 * @param columns cells of the terminal; the last one stays free
 * @param rows lines of the terminal
 */
export function renderFrame(
  event: TransferEvent & { type: "progress" },
  columns: number,
  rows: number,
): string[] {
  const blobs = (event.blobs ?? []).map(rowOf);
  const room = Math.min(MAX_BLOBS, rows - ROWS_ABOVE - 1);
  const shown = blobs.length <= room ? blobs : blobs.slice(0, Math.max(0, room - 1));
  const others = blobs.slice(shown.length);
  const lines = [...shown];
  if (others.length > 0 && room > 0) lines.push(sumOf(others));
  lines.push({ ...event, name: "total" });

  const width = Math.max(1, columns - 1);
  const layout = layouts.find(({ from }) => width >= from)?.columns;
  if (!layout) return lines.map(({ completed, total }) => percent(completed, total).trim());
  const fixed = layout.reduce((sum, column) => sum + widths[column] + 1, 0);
  const nameWidth = Math.min(MAX_NAME, width - fixed);
  return lines.map((row) =>
    [
      padEnd(cutPath(oneLine(row.name), nameWidth), nameWidth),
      ...layout.map((column) => cell(column, row)),
    ]
      .join(" ")
      .trimEnd(),
  );
}

/** A path, or `sha256:b72e50b1a692 (archive)`; undefined when neither is known. */
export function nameOf({ path, digest, kind }: Subject): string | undefined {
  if (path !== undefined || digest === undefined) return path;
  const short = digest.slice(0, digest.indexOf(":") + 1 + 12);
  return kind ? `${short} (${kind})` : short;
}

function rowOf(blob: BlobProgress): Row {
  const { completed, size, rate } = blob;
  return { name: nameOf(blob) ?? "a blob", completed, total: size, rate };
}

function sumOf(rows: readonly Row[]): Row {
  const sum = (pick: (row: Row) => number) => rows.reduce((all, row) => all + pick(row), 0);
  const isKnown = rows.every(({ total }) => total !== undefined);
  return {
    name: `and ${rows.length} more`,
    completed: sum(({ completed }) => completed),
    total: isKnown ? sum(({ total }) => total ?? 0) : undefined,
    rate: sum(({ rate }) => rate),
  };
}

function cell(column: Column, { completed, total, rate }: Row): string {
  switch (column) {
    case "bar":
      return total === undefined ? " ".repeat(widths.bar) : bar(completed, total);
    case "percent":
      return padStart(percent(completed, total), widths.percent);
    case "amount": {
      const of = total === undefined ? "" : `/${formatByteSize(total)}`;
      return padStart(formatByteSize(completed) + of, widths.amount);
    }
    case "rate":
      return padStart(`${formatByteSize(rate)}/s`, widths.rate);
    case "left":
      return padStart(timeLeft(completed, total, rate), widths.left);
  }
}

function share(completed: number, total: number): number {
  return total > 0 ? Math.min(1, Math.max(0, completed / total)) : 1;
}

function bar(completed: number, total: number): string {
  const inner = widths.bar - 2;
  const filled = Math.floor(share(completed, total) * inner);
  const tip = filled < inner ? ">" : "";
  return `[${"=".repeat(filled)}${tip}${" ".repeat(inner - filled - tip.length)}]`;
}

function percent(completed: number, total: number | undefined): string {
  return total === undefined ? "--" : `${Math.floor(share(completed, total) * 100)}%`;
}

/** `59s`, `4m05s`, `2h05m`, `3d04h`; `--` when it can't be told. */
function timeLeft(completed: number, total: number | undefined, rate: number): string {
  if (total === undefined || rate <= 0) return "--";
  const seconds = Math.ceil(Math.max(0, total - completed) / rate);
  const two = (value: number) => String(value).padStart(2, "0");
  const [minutes, hours, days] = [60, 3600, 86_400].map((unit) => Math.floor(seconds / unit));
  if (!minutes) return `${seconds}s`;
  if (!hours) return `${minutes}m${two(seconds % 60)}s`;
  if (!days) return `${hours}h${two(minutes % 60)}m`;
  return days < 100 ? `${days}d${two(hours % 24)}h` : "--";
}
