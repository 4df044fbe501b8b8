/** What `ocireg inspect` shows to people. */
import { formatByteSize } from "../../lib/byte-size.ts";
import { oneLine } from "../../lib/one-line.ts";
import type { InspectedFile, Inspection } from "../../pull/inspect.ts";
import type { InspectedReferrer } from "../../pull/inspect-referrers.ts";
import { cutEnd } from "./cells.ts";
import { table } from "./table.ts";

/** Cells of what one fact says. */
const MAX_FACT = 200;
/** Files of one archive that are listed. */
const MAX_LISTED = 100;

/** Names and annotations are the packer's: anything may be in them. */
export function renderInspection(inspection: Inspection): string {
  const { reference, digest, mediaType, format, size, files, model } = inspection;
  const { licenses, referrers = [], annotations } = inspection;
  const facts: [string, string | undefined][] = [
    ["Reference", reference],
    ["Digest", digest],
    ["Media type", mediaType],
    ["Format", format],
    ["Name", model.name],
    ["Architecture", model.architecture],
    ["Parameters", model.parameters],
    ["Quantization", model.quantization],
    ["Precision", model.precision],
    ["Context", model.contextSize === undefined ? undefined : `${model.contextSize} tokens`],
    ["Licences", licenses.join(", ")],
    ["Created", model.created],
    ["Size", `${formatByteSize(size)} in ${files.length} ${files.length === 1 ? "blob" : "blobs"}`],
  ];
  return `${[
    ...table(
      facts.flatMap(([name, value]) => (value ? [[name, cutEnd(oneLine(value), MAX_FACT)]] : [])),
    ),
    ...block(
      "Annotations",
      Object.entries(annotations).map(([key, value]) => [oneLine(key), oneLine(value)]),
    ),
    ...block("Files", files.flatMap(fileRows)),
    ...block("Referrers", referrers.map(referrerRow)),
  ].join("\n")}\n`;
}

function block(title: string, rows: readonly string[][]): string[] {
  return rows.length === 0 ? [] : ["", title, ...table(rows).map((line) => `  ${line}`)];
}

/** A row for the blob, and one for each file in it where it is an archive. */
function fileRows({ size, digest, path, kind, mediaType, files = [] }: InspectedFile): string[][] {
  const left = files.length - MAX_LISTED;
  return [
    [formatByteSize(size), shortDigest(digest), oneLine(path ?? `(${kind})`), oneLine(mediaType)],
    ...files
      .slice(0, MAX_LISTED)
      .map((file) => [formatByteSize(file.size), "", `  ${oneLine(file.path)}`]),
    ...(left > 0 ? [["", "", `  and ${left} more`]] : []),
  ];
}

function referrerRow({ kind, digest, artifactType, tag }: InspectedReferrer): string[] {
  return [kind, shortDigest(digest), oneLine(artifactType ?? (tag ? `tag ${tag}` : "-"))];
}

function shortDigest(digest: string): string {
  const start = digest.indexOf(":") + 1;
  return digest.slice(start, start + 12);
}
