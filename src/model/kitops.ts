/**
 * ModelKits of KitOps, `application/vnd.kitops.modelkit.*`: a layer is a tar archive or one file, and
 * the config is the Kitfile that says what each of them is.
 */
import { posix } from "node:path";
import { Failure } from "../lib/failure.ts";
import { oneLine } from "../lib/one-line.ts";
import type { Descriptor } from "../oci/descriptor.ts";
import type { Manifest } from "../oci/manifest.ts";
import { layersOf } from "../oci/partial.ts";
import { expectDiffId } from "./diff-ids.ts";
import type { FormatPlan, FormatReader, ModelDescription } from "./format.ts";
import { asObject, asText, parseObject, present, textsIn } from "./json.ts";
import { entriesOf, type KitEntry, kitfileYaml } from "./kitfile.ts";
import { checkedFilePath, checkedPath } from "./path.ts";
import { annotatedPath, type Compression, type PlannedFile, type Target } from "./planned-file.ts";

const PREFIX = "application/vnd.kitops.modelkit.";
const MANIFEST = `${PREFIX}manifest.v1+json`;
const CONFIG = `${PREFIX}config.v1+json`;
const layerType = /^application\/vnd\.kitops\.modelkit\.([a-z]+)\.v1\.(tar|raw)(?:\+(gzip|zstd))?$/;

export const kitops: FormatReader = {
  format: "kitops",
  usesConfig: true,
  declares(manifest: Manifest): boolean {
    if (manifest.kind !== "image") return false;
    const { artifactType, config } = manifest.content;
    return artifactType === MANIFEST || config.mediaType === CONFIG;
  },
  recognises(manifest: Manifest): boolean {
    return layersOf(manifest).some(({ mediaType }) => mediaType.startsWith(PREFIX));
  },
  describe(config: Uint8Array): ModelDescription {
    const kitfile = parseObject(config);
    const about = asObject(kitfile["package"]);
    const model = asObject(kitfile["model"]);
    const licenses = [...new Set([...textsIn(model["license"]), ...textsIn(about["license"])])];
    return present<ModelDescription>({
      format: asText(model["format"]),
      name: asText(model["name"]) ?? asText(about["name"]),
      licenses: licenses.length > 0 ? licenses : undefined,
    });
  },
  plan({ manifest, layers, config }): FormatPlan {
    const kitfile = parseObject(config);
    const entries = entriesOf(kitfile);
    const files: PlannedFile[] = [];
    const warnings: string[] = [];
    const find = finder(entries);
    for (const layer of layers) {
      const file = planned(layer, find(layer));
      if (file) files.push(file);
      else warnings.push(`left out the layer ${layer.digest}: a ${layer.mediaType} without a name`);
    }
    const parent = parentOf(layers, entries);
    if (parent !== undefined) {
      warnings.push(`the model is that of another ModelKit: ${oneLine(parent.slice(0, 400))}`);
    }
    if (manifest.kind === "image" && Object.keys(kitfile).length > 0) {
      const content = kitfileYaml(kitfile);
      const target: Target = { kind: "file", path: "Kitfile", content };
      files.push({ descriptor: manifest.content.config, target });
    }
    return { files, warnings, ...(parent !== undefined && { parent }) };
  },
};

/** Whether a layer is what a ModelKit has from another one whose model it refers to. */
export function isModelLayer({ mediaType }: Descriptor): boolean {
  const kind = layerType.exec(mediaType)?.[1];
  return kind === "model" || kind === "modelpart";
}

/** Finds the entry of a layer: by its digest or, where the Kitfile has none, by kind and order. */
function finder(entries: readonly KitEntry[]): (layer: Descriptor) => KitEntry | undefined {
  const byDigest = new Map(entries.map((entry) => [entry.digest, entry]));
  if (entries.some(({ digest }) => digest !== undefined)) {
    return ({ digest }) => byDigest.get(digest);
  }
  const byKind = Map.groupBy(entries, ({ kind }): string => kind);
  const used = new Map<string, number>();
  return ({ mediaType }) => {
    const kind = layerType.exec(mediaType)?.[1] ?? "";
    const index = used.get(kind) ?? 0;
    used.set(kind, index + 1);
    return byKind.get(kind)?.[index];
  };
}

function planned(layer: Descriptor, entry: KitEntry | undefined): PlannedFile | undefined {
  const [matched, , shape, suffix = "none"] = layerType.exec(layer.mediaType) ?? [];
  const source = `the layer ${layer.digest}`;
  if (matched === undefined) {
    const path = annotatedPath(layer);
    return path === undefined ? undefined : { descriptor: layer, target: { kind: "file", path } };
  }
  const compression = suffix as Compression;
  const diffId = expectDiffId(layer, compression, entry?.diffId);
  if (shape === "tar") {
    const into = entry && entry.digest === undefined ? folderOf(entry, source) : "";
    const target: Target = { kind: "archive", role: "content", compression, ...(into && { into }) };
    return { descriptor: layer, target, ...diffId };
  }
  const path = annotatedPath(layer) ?? (entry?.path && checkedFilePath(entry.path, source));
  if (!path) {
    throw new Failure(
      "content",
      `${source} is a single file, and neither it nor the Kitfile names it`,
    );
  }
  const target: Target = { kind: "file", path, ...(compression !== "none" && { compression }) };
  return { descriptor: layer, target, ...diffId };
}

/** Before 0.5.0 the names in an archive began at the folder that the entry's path lies in. */
function folderOf({ path }: KitEntry, source: string): string {
  const folder = posix.dirname(checkedPath(path ?? ".", source) || ".");
  return folder === "." ? "" : folder;
}

/** A model without a layer, at a path that no file has, is that of another ModelKit. */
function parentOf(layers: readonly Descriptor[], entries: readonly KitEntry[]): string | undefined {
  const path = entries.find(({ kind }) => kind === "model")?.path;
  return path !== undefined && /[:@]/.test(path) && !layers.some(isModel) ? path : undefined;
}

function isModel({ mediaType }: Descriptor): boolean {
  return layerType.exec(mediaType)?.[1] === "model";
}
