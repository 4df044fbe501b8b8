/** The names of files in layers, before these are pulled. */
import { Failure } from "../lib/failure.ts";
import type { Plan } from "../model/plan.ts";
import type { PlannedFile } from "../model/planned-file.ts";
import { formatReference, type Reference } from "../oci/reference.ts";
import type { RegistryClient } from "../registry/client.ts";
import { blobReader, OutOfReach, storedBlobReader } from "./blob-reader.ts";
import type { Cache } from "./cache.ts";
import { readContents, recogniseAll } from "./layer-contents.ts";
import type { RangeReader } from "./range-reader.ts";

export interface LookUpOptions {
  readonly reference: Reference;
  readonly client: RegistryClient;
  readonly cache: Cache;
  /** Look into layers of the cache alone. */
  readonly offline?: boolean | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface LookedUp {
  /** Those of the plan; unnamed ones as what they are, where that could be told. */
  readonly files: readonly PlannedFile[];
  /** The names in a layer of which the manifest doesn't tell them; undefined when nobody can. */
  readonly namesIn: (file: PlannedFile) => readonly string[] | undefined;
}

/**
 * Finds out what is in layers before all of them is here: what an earlier pull remembers, else what
 * the layers themselves say.
 *
 * @param remembered names by the digest of their layer
 * @throws {Failure} `content` when archives or headers are hostile; what the client throws
 */
export async function lookUp(
  plan: Plan,
  remembered: Readonly<Record<string, readonly string[]>> = {},
  options: LookUpOptions,
): Promise<LookedUp> {
  const open = (file: PlannedFile) => openLayer(file, options);
  const files = await recogniseAll(plan.files, open, tolerates);
  const isKnown = ({ target, descriptor }: PlannedFile) =>
    target.kind === "file" || remembered[descriptor.digest] !== undefined;
  if (files.every(isKnown)) {
    return { files, namesIn: ({ descriptor }) => remembered[descriptor.digest] };
  }
  const contents = await readContents(files, { open, tolerates });
  return { files, namesIn: (file) => contents.get(file)?.map(({ path }) => path) };
}

/** Where a layer can't be looked into, there is still all of it to take. */
function tolerates(error: unknown): boolean {
  if (error instanceof OutOfReach) return true;
  return error instanceof Failure && (error.kind === "offline" || error.kind === "usage");
}

/** A layer in the cache, else at the registry. */
async function openLayer(
  { descriptor: layer, from }: PlannedFile,
  { cache, client, reference, offline, signal }: LookUpOptions,
): Promise<RangeReader> {
  if (await cache.blobs.has(layer)) return storedBlobReader(cache.blobs.path(layer.digest));
  if (!offline) return blobReader(client, from ?? reference, layer, { signal });
  throw new Failure(
    "offline",
    `${layer.digest} of ${formatReference(reference)} isn't in the cache, and --offline forbids to look into it`,
  );
}
