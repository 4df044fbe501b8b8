/**
 * What an artifact holds: from its manifest and config, and from the beginnings of its files, which
 * are read where they are. The weights stay there.
 */
import { Failure } from "../lib/failure.ts";
import type { Format } from "../model/format.ts";
import { unique } from "../model/licenses.ts";
import { describeModel } from "../model/plan.ts";
import type { PlannedFile, Target } from "../model/planned-file.ts";
import type { Platform } from "../oci/descriptor.ts";
import type { Digest } from "../oci/digest.ts";
import { annotationsOf } from "../oci/partial.ts";
import { formatReference, type Reference } from "../oci/reference.ts";
import type { RegistryClient } from "../registry/client.ts";
import { fetchArtifact } from "./artifact.ts";
import { type Allowance, blobReader, OutOfReach } from "./blob-reader.ts";
import { firstReadOf, type InspectedModel, readModel } from "./inspect-model.ts";
import { type InspectedReferrer, inspectReferrers } from "./inspect-referrers.ts";
import { type LayerContents, readContents, recogniseAll } from "./layer-contents.ts";
import { withParents } from "./parents.ts";
import { rememberingStart } from "./partial-readers.ts";
import { planArtifact, remoteBlobs } from "./plan-artifact.ts";
import type { RangeReader } from "./range-reader.ts";

export interface InspectedFile {
  /** Absent when it couldn't be told, and for archives, which hold several. */
  readonly path?: string;
  readonly kind: Target["kind"];
  readonly mediaType: string;
  readonly digest: Digest;
  /** Bytes. */
  readonly size: number;
  /** Of an archive: what is in it, where that could be told. */
  readonly files?: readonly { readonly path: string; readonly size: number }[];
}

export interface Inspection {
  /** Canonical. */
  readonly reference: string;
  /** Of the manifest; for an index, of the one that was chosen. */
  readonly digest: Digest;
  readonly mediaType: string;
  readonly format: Format;
  /** Bytes of all layers. */
  readonly size: number;
  readonly files: readonly InspectedFile[];
  /** What the files say about the model, and where they say nothing the packer. */
  readonly model: InspectedModel;
  /** SPDX expressions, or whatever the packer wrote. */
  readonly licenses: readonly string[];
  /** What refers to it; absent when that couldn't be told. */
  readonly referrers?: readonly InspectedReferrer[];
  readonly annotations: Readonly<Record<string, string>>;
  readonly warnings: readonly string[];
}

export interface InspectOptions {
  readonly platform?: Platform | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** Bytes of files that are read at most: with manifest and config less than a megabyte. */
const ALLOWANCE = 900_000;
/** Bytes of the index of a model whose shards have no names. */
const MAX_INDEX = 256 * 1024;

/** @throws {Failure} what the client throws; `content` for a manifest that can't be pulled */
export async function inspect(
  client: RegistryClient,
  reference: Reference,
  options: InspectOptions = {},
): Promise<Inspection> {
  const { signal } = options;
  const { digest, manifest } = await fetchArtifact({ client, reference, ...options });
  const { plan: own, config } = await planArtifact(
    manifest,
    remoteBlobs(client, reference, signal),
  );
  const { format, files, warnings } = await withParents(own, reference, async (parent) => {
    const artifact = await fetchArtifact({ client, ...options, reference: parent });
    return (await planArtifact(artifact.manifest, remoteBlobs(client, parent, signal))).plan;
  });
  const troubles = new Set(warnings);
  const tolerates = (error: unknown) => {
    if (signal?.aborted || !(error instanceof Failure || error instanceof OutOfReach)) {
      return false;
    }
    if (error instanceof Failure) troubles.add(error.message);
    return true;
  };
  const [{ layers, contents, model }, referrers] = await Promise.all([
    lookInside(client, reference, files, tolerates, signal),
    inspectReferrers(client, reference, digest, signal).catch((error: unknown) => {
      if (!tolerates(error)) throw error;
    }),
  ]);
  const annotations = annotationsOf(manifest) ?? {};
  const { licenses: packed = [], ...described } = config ? describeModel(manifest, config) : {};
  const { licenses: found = [], ...read } = model;
  const annotated = annotations["org.opencontainers.image.licenses"];
  return {
    reference: formatReference(reference),
    digest,
    mediaType: manifest.mediaType,
    format,
    size: files.reduce((sum, { descriptor }) => sum + descriptor.size, 0),
    files: layers.map((file) => inspectedFile(file, contents)),
    model: { ...described, ...read },
    licenses: unique([...(annotated ? [annotated] : []), ...packed, ...found]),
    ...(referrers && { referrers }),
    annotations,
    warnings: [...troubles],
  };
}

async function lookInside(
  client: RegistryClient,
  reference: Reference,
  planned: readonly PlannedFile[],
  tolerates: (error: unknown) => boolean,
  signal: AbortSignal | undefined,
): Promise<{
  layers: readonly PlannedFile[];
  contents: LayerContents;
  model: InspectedModel;
}> {
  const allowance: Allowance = { left: ALLOWANCE };
  const readers = new Map<Digest, RangeReader>();
  const weights = new Set(planned.filter(isWeight).map(({ descriptor }) => descriptor.digest));
  const open = async ({ descriptor: layer, from }: PlannedFile) => {
    const known = readers.get(layer.digest);
    if (known) return known;
    const blob = blobReader(client, from ?? reference, layer, { allowance, signal });
    const isHead = weights.has(layer.digest);
    const reader = isHead ? rememberingStart(blob, firstReadOf(weights.size)) : blob;
    readers.set(layer.digest, reader);
    return reader;
  };
  const layers = await recogniseAll(planned, open, tolerates);
  const contents = await readContents(layers, { open, tolerates, maxIndex: MAX_INDEX });
  const model = await readModel([...contents.values()].flat(), allowance, tolerates);
  return { layers, contents, model };
}

function isWeight({ target }: PlannedFile): boolean {
  if (target.kind === "shard" || target.kind === "unnamed") return true;
  return target.kind === "file" && /\.(?:safetensors|gguf)$/.test(target.path);
}

function inspectedFile(file: PlannedFile, contents: LayerContents): InspectedFile {
  const { mediaType, digest, size } = file.descriptor;
  const { kind } = file.target;
  const listed = contents.get(file)?.map(({ path, size: bytes }) => ({ path, size: bytes }));
  const path = kind === "file" || kind === "shard" ? listed?.[0]?.path : undefined;
  return {
    ...(path !== undefined && { path }),
    kind,
    mediaType,
    digest,
    size,
    ...(kind === "archive" && listed && { files: listed }),
  };
}
