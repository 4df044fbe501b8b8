/**
 * What a manifest means as a model: which format it is in, and what each of its layers becomes on
 * disk. A further format is a further file with a {@link FormatReader}, named in `readers`.
 */
import { Failure } from "../lib/failure.ts";
import type { Descriptor } from "../oci/descriptor.ts";
import { type Digest, isDigest } from "../oci/digest.ts";
import { MAX_MANIFEST_SIZE, type Manifest } from "../oci/manifest.ts";
import { layersOf } from "../oci/partial.ts";
import { docker } from "./docker.ts";
import type { Format, FormatReader, ModelDescription } from "./format.ts";
import { generic } from "./generic.ts";
import { image } from "./image.ts";
import { kitops } from "./kitops.ts";
import { modelpack } from "./modelpack.ts";
import { ollama } from "./ollama.ts";
import { oras } from "./oras.ts";
import { isCompleteModel, isConsolidated, type PlannedFile, settlePaths } from "./planned-file.ts";

export interface Plan {
  readonly format: Format;
  /** The reference of another artifact of the format, whose model is also that of this one. */
  readonly parent?: string;
  /** In the order of the manifest's layers. */
  readonly files: readonly PlannedFile[];
  /** One line each, for people. */
  readonly warnings: readonly string[];
  /** The names of files in layers of which the manifest doesn't tell them, where they were looked up. */
  readonly contents?: ReadonlyMap<Digest, readonly string[]>;
}

/** The first that a manifest declares reads it, else the first that recognises it. */
const readers: readonly FormatReader[] = [kitops, modelpack, docker, ollama, oras, image, generic];

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
 * @param configBytes the content of {@link configFor}
 * @param withCopies whether a second copy of the weights in Mistral's format is wanted too
 * @throws {Failure} `content` when the manifest is none of an artifact, has no layers, or its paths
 *   are hostile or contradict each other
 */
export function plan(manifest: Manifest, configBytes?: Uint8Array, withCopies = false): Plan {
  if (manifest.kind !== "image" && manifest.kind !== "artifact") {
    throw new Failure("content", `a manifest of type ${manifest.mediaType} can't be pulled`);
  }
  const layers = layersOf(manifest);
  for (const layer of layers) checkDescriptor(layer, "layer");
  const reader = readerFor(manifest);
  const { files, warnings, parent } = reader.plan({ manifest, layers, config: configBytes });
  if (parent === undefined) requireFiles(layers, files, warnings);
  const config = manifest.kind === "image" ? manifest.content.config : undefined;
  if (config && files.some((file) => file.descriptor === config)) checkDescriptor(config, "config");
  const settled = settlePaths(files);
  const kept = withCopies ? settled : withoutConsolidated(settled);
  const keeps = new Set(kept);
  return {
    format: reader.format,
    ...(parent !== undefined && { parent }),
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
  return (
    readers.find((reader) => reader.declares?.(manifest)) ??
    readers.find((reader) => reader.recognises(manifest)) ??
    generic
  );
}

function requireFiles(
  layers: readonly Descriptor[],
  files: readonly PlannedFile[],
  [reason]: readonly string[],
): void {
  if (layers.length === 0) {
    throw new Failure("content", "the manifest has no layers: there is nothing to pull");
  }
  if (files.length === 0) {
    throw new Failure("content", `no layer of the manifest is part of a model: ${reason}`);
  }
}

function checkDescriptor({ digest }: Descriptor, role: string): void {
  if (isDigest(digest)) return;
  throw new Failure(
    "content",
    `the manifest names a ${role} by ${JSON.stringify(digest)}, which can't be verified: want sha256 or sha512`,
  );
}

/**
 * A second copy of the weights in Mistral's format is left out when the usual one is complete, and
 * its configuration is there or may be: who packs archives packs that into one of them.
 */
function withoutConsolidated(files: readonly PlannedFile[]): readonly PlannedFile[] {
  const paths = files.flatMap(({ target }) => (target.kind === "file" ? [target.path] : []));
  const hasConfig =
    paths.includes("config.json") || files.some(({ target }) => target.kind === "archive");
  if (!hasConfig || !isCompleteModel(paths)) return files;
  return files.filter(({ target }) => target.kind !== "file" || !isConsolidated(target.path));
}
