/**
 * Views: what the cache shows for one manifest.
 *
 * ```
 * views/sha256-<hex>/
 *   manifest.json                 the exact bytes
 *   oci_metadata.json             what is here, see record.ts
 *   layers/0000_<hex>.safetensors the weight layers in their order
 *   config/                       the unpacked configuration archive
 *   model/                        the directory that an inference engine opens
 * ```
 *
 * A view appears whole, by a rename. Later it may grow, when a pull includes more files; a file that
 * is there stays as it is, because an engine may have it open.
 */
import { mkdir, rename, rm, utimes } from "node:fs/promises";
import { dirname, join } from "node:path";
import { makeDirectory, syncDirectory, writeFileDurably } from "../lib/durable.ts";
import type { Plan } from "../model/plan.ts";
import type { PlannedFile } from "../model/planned-file.ts";
import { algorithmOf, type Digest, encodedOf } from "../oci/digest.ts";
import type { Artifact } from "./artifact.ts";
import { prepareModel, syncTree } from "./assemble.ts";
import type { Cache } from "./cache.ts";
import type { Delivery } from "./delivery.ts";
import { withLease } from "./lease.ts";
import { linkFile } from "./link.ts";
import type { ModelFile } from "./model-file.ts";
import {
  covers,
  isIntact,
  type ModelRecord,
  RECORD_NAME,
  readRecord,
  recordOf,
  sizeOf,
  writeRecord,
} from "./record.ts";
import { UnpackedLayers } from "./unpack/layers.ts";
import type { UnpackLimits } from "./unpack/limits.ts";
import { Unpacking } from "./unpack/unpacking.ts";

/** The directory of a view that an engine opens. */
export function modelPath(cache: Cache, digest: Digest): string {
  return join(cache.viewPath(digest), "model");
}

/** The record of a view whose files are all there; undefined when there is no such view. */
export async function readView(cache: Cache, digest: Digest): Promise<ModelRecord | undefined> {
  const record = await readRecord(recordPath(cache.viewPath(digest)));
  return record && (await isIntact(record, modelPath(cache, digest))) ? record : undefined;
}

/** Notes that a view is used now: the time of its record. Where that can't be, it isn't noted. */
export async function noteUse(cache: Cache, digest: Digest): Promise<void> {
  const now = new Date();
  await utimes(recordPath(cache.viewPath(digest)), now, now).catch(() => {});
}

export interface ViewOptions {
  readonly limits?: Partial<UnpackLimits> | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Makes the view of an artifact, or makes it grow, so that it has all `files`. Only one process does
 * at a time, and unpacks while blobs still come; others fetch along, and wait.
 *
 * @param delivery brings the blobs of `files` into the cache
 * @throws {Failure} `content` when archives or headers are hostile; then there is no new view; what
 *   the delivery throws
 */
export async function ensureView(
  cache: Cache,
  artifact: Artifact,
  plan: Plan,
  files: readonly PlannedFile[],
  delivery: Delivery,
  { limits, signal }: ViewOptions = {},
): Promise<void> {
  const { digest } = artifact;
  const isDone = async () => {
    const record = await readView(cache, digest);
    return record !== undefined && covers(record, files);
  };
  const name = `view-${algorithmOf(digest)}-${encodedOf(digest)}`;
  const failed = new AbortController();
  const lease = {
    directory: cache.blobs.partial,
    name,
    isDone,
    onWait: () => void delivery.start().catch((error) => failed.abort(error)),
    signal: signal ? AbortSignal.any([signal, failed.signal]) : failed.signal,
  };
  const work = withLease(lease, async (working, ending) => {
    const staging = `${working}.unpacked`;
    try {
      await mkdir(staging);
      const layers = new UnpackedLayers(join(staging, "layers"), join(staging, "layer"));
      const unpacking = new Unpacking(files, cache.blobs, layers, { limits, signal: ending });
      await delivery.to((blob, failing) => unpacking.receive(blob, failing));
      const isWhole = files.length === plan.files.length;
      const model = await prepareModel(unpacking, cache.blobs, staging, isWhole);
      const view = cache.viewPath(digest);
      const record = recordOf(artifact, plan, files, model, await readRecord(recordPath(view)));
      const isNew = (await sizeOf(view)) === undefined;
      const root = isNew ? working : view;
      await fill(root, cache, files, model);
      await syncTree(root);
      const manifest = join(root, "manifest.json");
      await writeFileDurably(manifest, artifact.bytes, join(staging, "manifest.json"));
      await writeRecord(recordPath(root), record);
      if (!isNew) return;
      await makeDirectory(dirname(view));
      await rename(working, view);
      await syncDirectory(dirname(view));
    } finally {
      await rm(staging, { recursive: true, force: true });
    }
  });
  try {
    await work;
    await delivery.settle();
  } catch (error) {
    await delivery.settle(error);
    throw error;
  }
}

function recordPath(view: string): string {
  return join(view, RECORD_NAME);
}

/** Puts what is missing into a view, or into the working directory that becomes one. */
async function fill(
  root: string,
  cache: Cache,
  files: readonly PlannedFile[],
  model: readonly ModelFile[],
): Promise<void> {
  for (const directory of ["layers", "config", "model"]) {
    await mkdir(join(root, directory), { recursive: true });
  }
  for (const { layerName, descriptor } of files) {
    if (layerName === undefined) continue;
    const source = cache.blobs.path(descriptor.digest);
    await put(source, descriptor.size, join(root, "layers", layerName), "symlink");
  }
  for (const { path, source, size, origin } of model) {
    const target = join(root, "model", path);
    await put(source, size, target, origin === "blob" ? "symlink" : "copy");
    if (origin === "config-archive") await put(source, size, join(root, "config", path), "copy");
  }
}

/** A blob can be shown by a symlink; what was unpacked to a temporary place can't. */
async function put(
  source: string,
  size: number,
  target: string,
  fallback: "symlink" | "copy",
): Promise<void> {
  if ((await sizeOf(target)) === size) return;
  await rm(target, { force: true });
  await mkdir(dirname(target), { recursive: true });
  await linkFile(source, target, fallback);
}
