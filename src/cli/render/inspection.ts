/** What `ocireg inspect` shows to people. */
import { formatByteSize } from "../../lib/byte-size.ts";
import { oneLine } from "../../lib/one-line.ts";
import type { InspectedFile, Inspection } from "../../pull/inspect.ts";
import { table } from "./table.ts";

/** Names and annotations are the packer's: anything may be in them. */
export function renderInspection(inspection: Inspection): string {
  const { reference, digest, mediaType, format, size, files, model, annotations } = inspection;
  const facts: [string, string | undefined][] = [
    ["Reference", reference],
    ["Digest", digest],
    ["Media type", mediaType],
    ["Format", format],
    ["Architecture", model.architecture],
    ["Parameters", model.parameters],
    ["Quantization", model.quantization],
    ["Context", model.contextSize === undefined ? undefined : `${model.contextSize} tokens`],
    ["Created", model.created],
    ["Size", `${formatByteSize(size)} in ${files.length} ${files.length === 1 ? "blob" : "blobs"}`],
  ];
  return `${[
    ...table(facts.flatMap(([name, value]) => (value ? [[name, oneLine(value)]] : []))),
    ...block(
      "Annotations",
      Object.entries(annotations).map(([key, value]) => [oneLine(key), oneLine(value)]),
    ),
    ...block("Files", files.map(fileRow)),
  ].join("\n")}\n`;
}

function block(title: string, rows: readonly string[][]): string[] {
  return rows.length === 0 ? [] : ["", title, ...table(rows).map((line) => `  ${line}`)];
}

function fileRow(file: InspectedFile): string[] {
  const hex = file.digest.slice(file.digest.indexOf(":") + 1);
  return [
    formatByteSize(file.size),
    hex.slice(0, 12),
    oneLine(file.path ?? `(${file.kind})`),
    oneLine(file.mediaType),
  ];
}
