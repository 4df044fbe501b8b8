/** From the files of a model to an artifact in a registry, wherever the files lie. */
import { stat } from "node:fs/promises";
import { join } from "node:path";
import { Failure } from "../lib/failure.ts";
import { Gate, mapConcurrently } from "../lib/pool.ts";
import { surveyModel } from "../model/model-files.ts";
import { packerFor } from "../model/packers.ts";
import type { PackedLayer, Packer, PackFormat } from "../model/packing.ts";
import type { Annotations, Descriptor } from "../oci/descriptor.ts";
import { type Digest, digestOf } from "../oci/digest.ts";
import { MAX_MANIFEST_SIZE } from "../oci/manifest.ts";
import { OCI_IMAGE_MANIFEST } from "../oci/media-types.ts";
import { describe } from "../oci/partial.ts";
import { formatReference, formatRepository, type Reference } from "../oci/reference.ts";
import type { RegistryClient } from "../registry/client.ts";
import { type EventListener, ProgressMeter, type Subject } from "./events.ts";
import type { FileHasher } from "./file-hasher.ts";
import { transferLargestFirst } from "./largest-first.ts";
import { packTar } from "./pack-tar.ts";
import { fileAt, readFacts } from "./read-facts.ts";
import { LocalFile, type PushTarget, type SourceFile } from "./source-file.ts";

export interface PushModelOptions {
  readonly reference: Reference;
  readonly client: RegistryClient;
  readonly format: PackFormat;
  /** Of the manifest. @default none */
  readonly annotations?: Annotations | undefined;
  /** An empty directory of our own, for archives that are packed. */
  readonly staging: string;
  readonly hasher: FileHasher;
  /** RFC 3339, where it is known when the model was packed first. */
  readonly created?: string | undefined;
  readonly onEvent?: EventListener | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface PushResult {
  /** `repository@digest`. */
  readonly reference: string;
  readonly digest: Digest;
}

/** Blobs that are pushed at a time. */
const PUSHES = 4;
/** All are as long. */
const ANY_DIGEST = digestOf("");

interface LayerSource {
  readonly mediaType: string;
  readonly file: SourceFile;
  /** Bytes. */
  readonly size: number;
  /** The path that a pull gives the file; archives have none. */
  readonly path?: string;
}

/**
 * Packs and pushes a model. The same files make the same manifest on every machine. While large
 * files are still hashed, others are on their way.
 *
 * @throws {Failure} `usage` when the files are no model, or the reference's digest is another;
 *   `content` when weights aren't valid; what the files and the client throw
 */
export async function pushModel(
  found: readonly SourceFile[],
  options: PushModelOptions,
): Promise<PushResult> {
  const { reference, client, format, created, onEvent, signal } = options;
  const packer = packerFor(format);
  const files = new Map(found.map((file) => [file.path, file]));
  const model = surveyModel(found);
  const { layers: packed, leftOut } = packer.pack(model);
  for (const path of leftOut)
    onEvent?.({ type: "warning", message: reasonFor(path, model, format) });
  const facts = { ...(await readFacts(model, files)), ...(created && { created }) };
  const sources = await mapConcurrently(packed, PUSHES, (layer, index) =>
    layerSource(layer, index, files, options),
  );
  // Known before anything is hashed or sent.
  const any = sources.map((source) => layerOf(source, ANY_DIGEST, packer));
  requireSize(manifestOf(packer, new Uint8Array(), any, options.annotations), any.length);

  using meter = new ProgressMeter(
    sources.reduce((sum, { size }) => sum + size, 0),
    onEvent,
    "at most",
  );
  const layers = await pushLayers(sources, packer, meter, options);
  const digests = layers.map(({ digest }) => digest);
  const config = Buffer.from(packer.config({ format: model.format, facts, layers: digests }));
  const manifest = manifestOf(packer, config, layers, options.annotations);
  const digest = digestOf(manifest);
  if (reference.digest !== undefined && reference.digest !== digest) {
    throw new Failure(
      "usage",
      `the model's manifest is ${digest}, which isn't the digest of ${formatReference(reference)}: push to a tag`,
    );
  }
  const blob = describe(packer.configType, config);
  await client.pushBlob(reference, blob, () => config, signal ? { signal } : {});
  signal?.throwIfAborted();
  await client.putManifest(reference, manifest, OCI_IMAGE_MANIFEST);
  meter.done();
  return { reference: `${formatRepository(reference)}@${digest}`, digest };
}

function reasonFor(path: string, { copies }: { copies: readonly string[] }, format: PackFormat) {
  const reason = copies.includes(path)
    ? "it is a second copy of the weights"
    : `the format ${format} has no place for it`;
  return `left out ${JSON.stringify(path)}: ${reason}`;
}

function layerOf(
  { mediaType, size, path }: LayerSource,
  digest: Digest,
  packer: Packer,
): Descriptor {
  const annotations = path === undefined ? undefined : packer.annotations(path);
  return { mediaType, digest, size, ...(annotations && { annotations }) };
}

/** @throws {Failure} `usage` beyond what registries take */
function requireSize({ byteLength }: Uint8Array, files: number): void {
  if (byteLength <= MAX_MANIFEST_SIZE) return;
  throw new Failure(
    "usage",
    `the model has ${files} files, too many for one manifest: it would have ${byteLength} bytes, and registries take ${MAX_MANIFEST_SIZE}`,
  );
}

function manifestOf(
  { artifactType, configType }: Packer,
  config: Uint8Array,
  layers: readonly Descriptor[],
  annotations: Annotations = {},
): Buffer {
  return Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: OCI_IMAGE_MANIFEST,
      ...(artifactType && { artifactType }),
      config: describe(configType, config),
      layers,
      ...(Object.keys(annotations).length > 0 && { annotations }),
    }),
  );
}

/** An archive is packed into the staging directory. */
async function layerSource(
  layer: PackedLayer,
  index: number,
  files: ReadonlyMap<string, SourceFile>,
  { staging, hasher }: PushModelOptions,
): Promise<LayerSource> {
  const { mediaType } = layer;
  if (layer.kind === "file") {
    const file = fileAt(files, layer.path);
    return { mediaType, file, size: file.size, path: layer.path };
  }
  const target = join(staging, `${index}.tar`);
  await packTar(
    layer.paths.map((path) => fileAt(files, path)),
    target,
  );
  const { size } = await stat(target);
  return { mediaType, file: new LocalFile(target, target, size, hasher), size };
}

/** Pushes the layers; of those that are the same, one. */
async function pushLayers(
  sources: readonly LayerSource[],
  packer: Packer,
  meter: ProgressMeter,
  { reference, client, hasher, onEvent, signal }: PushModelOptions,
): Promise<Descriptor[]> {
  const to: PushTarget = { client, target: reference, onEvent };
  const pushes = new Gate(PUSHES);
  const pushed = new Map<Digest, Promise<unknown>>();
  const atOnce = hasher.width + PUSHES;
  return transferLargestFirst(sources, atOnce, signal, async (source, either) => {
    const { file, size, path } = source;
    const digest = await file.digest(either);
    const subject: Subject = {
      digest,
      size,
      ...(path === undefined ? { kind: "archive" } : { path }),
    };
    const twin = pushed.get(digest);
    if (twin) {
      await twin;
      meter.skip(size);
    } else {
      const pushing = pushes.run(() => file.push({ digest, size }, to, meter, subject, either));
      pushed.set(digest, pushing);
      await pushing;
    }
    meter.verified(subject);
    return layerOf(source, digest, packer);
  });
}
