/** What the cache commands tell people. */
import { formatByteSize } from "../../lib/byte-size.ts";
import { oneLine } from "../../lib/one-line.ts";
import type { CacheContents, CachedView } from "../../pull/contents.ts";
import { unusedBlobs } from "../../pull/remove.ts";
import type { Sweep } from "../../pull/sweep.ts";
import type { Verification } from "../../pull/verify.ts";
import { table } from "./table.ts";

/** Whether all of a model is here, a chosen part of it, or something else than a model. */
export function stateOf({ complete, record }: CachedView): "complete" | "partial" | "damaged" {
  if (complete) return "complete";
  // Its record says that all of it is here, and it isn't.
  return record && !record.complete ? "partial" : "damaged";
}

/** @param now milliseconds since 1970 */
export function renderContents(contents: CacheContents, now: number): string {
  const { views, blobs, work, size } = contents;
  const rows = views
    .toReversed()
    .flatMap((view) =>
      labelsOf(view).map((label) => [
        formatByteSize(view.size),
        shorten(view.digest),
        timeSince(now - view.used),
        stateOf(view),
        label,
      ]),
    );
  const lines =
    rows.length > 0 ? table([["SIZE", "DIGEST", "USED", "STATE", "REFERENCE"], ...rows]) : [];
  const unused = unusedBlobs(contents).reduce((sum, blob) => sum + (blobs.get(blob)?.size ?? 0), 0);
  const unfinished = work.reduce((sum, { size: bytes }) => sum + bytes, 0);
  const parts = [
    `${formatByteSize(size)} in ${views.length} ${views.length === 1 ? "model" : "models"}`,
    ...(unused > 0 ? [`${formatByteSize(unused)} of it unused`] : []),
    ...(unfinished > 0 ? [`${formatByteSize(unfinished)} of it unfinished`] : []),
  ];
  return `${[...lines, parts.join(", ")].join("\n")}\n`;
}

export function renderSweep(sweep: Sweep, dryRun: boolean): string {
  const { references, views, blobs, unfinished, freed, kept } = sweep;
  const things = [
    ...(blobs.length > 0 ? [`${blobs.length} ${blobs.length === 1 ? "blob" : "blobs"}`] : []),
    ...(unfinished > 0 ? [`${unfinished} unfinished`] : []),
  ];
  return [
    ...references.map((reference) => `${dryRun ? "would forget" : "forgot"} ${oneLine(reference)}`),
    ...views.map((digest) => `${dryRun ? "would remove" : "removed"} ${digest}`),
    ...kept.map((digest) => `${dryRun ? "would keep" : "kept"} ${digest}: a pull needs it`),
    `${dryRun ? "would free" : "freed"} ${formatByteSize(freed)}${things.length > 0 ? ` (${things.join(", ")})` : ""}`,
    "",
  ].join("\n");
}

export function renderVerification({ right, bytes, damaged }: Verification): string {
  const files = `${right} ${right === 1 ? "file is" : "files are"} right, ${formatByteSize(bytes)} read`;
  return [...damaged.map((path) => `removed ${oneLine(path)}`), files, ""].join("\n");
}

function labelsOf({ names }: CachedView): string[] {
  if (names.length === 0) return ["-"];
  return names.map(({ reference, platform }) =>
    oneLine(platform ? `${reference} (${platform})` : reference),
  );
}

/** `sha256:b72e50b1a692`: enough for 'cache rm'. */
function shorten(digest: string): string {
  return digest.slice(0, digest.indexOf(":") + 1 + 12);
}

/** `now`, `5m ago`, `3h ago`, `12d ago`. */
function timeSince(milliseconds: number): string {
  const minutes = Math.floor(milliseconds / 60_000);
  if (minutes < 1) return "now";
  if (minutes < 60) return `${minutes}m ago`;
  return minutes < 48 * 60
    ? `${Math.floor(minutes / 60)}h ago`
    : `${Math.floor(minutes / 1440)}d ago`;
}
