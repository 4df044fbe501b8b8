/**
 * What a manifest means as a model: which format it is in, and what each of its layers becomes on
 * disk. A further format is a further file with a {@link FormatReader}, named in `readers`.
 */
import { Failure } from "../lib/failure.ts";
import type { Descriptor } from "../oci/descriptor.ts";
import { isDigest } from "../oci/digest.ts";
import { MAX_MANIFEST_SIZE, type Manifest } from "../oci/manifest.ts";
import { docker } from "./docker.ts";
import type { Format, FormatReader, ModelDescription } from "./format.ts";
import { generic } from "./generic.ts";
import { isCompleteModel, isConsolidated, type PlannedFile, settlePaths } from "./planned-file.ts";

export interface Plan {
  readonly format: Format;
  /** In the order of the manifest's layers. */
  readonly files: readonly PlannedFile[];
  /** One line each, for people. */
  readonly warnings: readonly string[];
}

/** The first that recognises a manifest reads it. */
const readers: readonly FormatReader[] = [docker, generic];

/** The config blob that {@link plan} wants for a manifest, undefined when it wants none. */
export function configFor(manifest: Manifest): Descriptor | undefined {
  if (manifest.kind !== "image" || !readerFor(manifest).usesConfig) return undefined;
  const { config } = manifest.content;
  checkDescriptor(config, "config");
  if (config.size > MAX_MANIFEST_SIZE) {
    throw new Failure(
      "content",
      `the config of the artifact has ${config.size} bytes, more than ${MAX_MANIFEST_SIZE}`,
    );
  }
  return config;
}

/**
 * Reads a manifest as a model.
 *
 * @param config the content of {@link configFor}
 * @throws {Failure} `content` when the manifest is none of an artifact, has no layers, or its paths
 *   are hostile or contradict each other
 */
export function plan(manifest: Manifest, config?: Uint8Array): Plan {
  const layers = layersOf(manifest);
  for (const layer of layers) checkDescriptor(layer, "layer");
  const reader = readerFor(manifest);
  const { files, warnings } = reader.plan({ manifest, layers, config });
  const settled = settlePaths(files);
  const kept = withoutConsolidated(settled);
  const keeps = new Set(kept);
  return {
    format: reader.format,
    files: kept,
    warnings: [
      ...warnings,
      ...settled
        .filter((file) => !keeps.has(file))
        .map(({ descriptor }) => `left out the layer ${descriptor.digest}: a consolidated copy`),
    ],
  };
}

/** What the config blob of a manifest says about the model. */
export function describeModel(manifest: Manifest, config: Uint8Array): ModelDescription {
  return readerFor(manifest).describe?.(config) ?? {};
}

function readerFor(manifest: Manifest): FormatReader {
  return readers.find((reader) => reader.recognises(manifest)) ?? generic;
}

function layersOf(manifest: Manifest): readonly Descriptor[] {
  const layers =
    manifest.kind === "image"
      ? manifest.content.layers
      : manifest.kind === "artifact"
        ? (manifest.content.blobs ?? [])
        : undefined;
  if (layers === undefined) {
    throw new Failure("content", `a manifest of type ${manifest.mediaType} can't be pulled`);
  }
  if (layers.length === 0) {
    throw new Failure("content", "the manifest has no layers: there is nothing to pull");
  }
  return layers;
}

function checkDescriptor({ digest }: Descriptor, role: string): void {
  if (isDigest(digest)) return;
  throw new Failure(
    "content",
    `the manifest names a ${role} by ${JSON.stringify(digest)}, which can't be verified: want sha256 or sha512`,
  );
}

/** A second copy of the weights in Mistral's format is left out when the usual one is complete. */
function withoutConsolidated(files: readonly PlannedFile[]): readonly PlannedFile[] {
  const paths = files.flatMap(({ target }) => (target.kind === "file" ? [target.path] : []));
  const hasConfig =
    paths.includes("config.json") ||
    files.some(({ target }) => target.kind === "archive" && target.role === "config");
  if (!hasConfig || !isCompleteModel(paths)) return files;
  return files.filter(({ target }) => target.kind !== "file" || !isConsolidated(target.path));
}
