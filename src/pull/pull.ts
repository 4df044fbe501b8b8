/** Pulling a model: from a reference to a directory that an inference engine opens. */
import { readFile } from "node:fs/promises";
import { basename, dirname } from "node:path";
import { ignoreMissing, isMissing } from "../lib/durable.ts";
import { Failure } from "../lib/failure.ts";
import type { Plan } from "../model/plan.ts";
import type { PlannedFile, Target } from "../model/planned-file.ts";
import type { Descriptor, Platform } from "../oci/descriptor.ts";
import type { Digest } from "../oci/digest.ts";
import { blobsOf } from "../oci/partial.ts";
import { formatReference, type Reference } from "../oci/reference.ts";
import type { RegistryClient } from "../registry/client.ts";
import { type Artifact, findArtifact } from "./artifact.ts";
import type { BlobDirectory, BlobId } from "./blobs.ts";
import type { Cache } from "./cache.ts";
import { Delivery } from "./delivery.ts";
import { diskFailure } from "./disk.ts";
import type { EventListener } from "./events.ts";
import { holding, isReadOnly } from "./hold.ts";
import { HubModel } from "./hub-cache.ts";
import { lookUp } from "./look-up.ts";
import { OutputDirectory } from "./output.ts";
import { withParents } from "./parents.ts";
import { planArtifact } from "./plan-artifact.ts";
import { covers, type ModelRecord } from "./record.ts";
import { isOwnTree, ownDirectory } from "./removal.ts";
import { type Globs, hasGlobs, selectFiles } from "./select.ts";
import { fetchBlobs, type Receiver, type TransferOptions, type WantedBlob } from "./transfer.ts";
import type { UnpackLimits } from "./unpack/limits.ts";
import { isArchive } from "./unpack/unpack-layer.ts";
import { verifyCache } from "./verify.ts";
import { ensureView, modelPath, noteUse, readView } from "./view.ts";

export interface PullOptions extends Globs {
  readonly reference: Reference;
  readonly client: RegistryClient;
  readonly cache: Cache;
  /** A directory for the files, instead of the cache's own. */
  readonly output?: string | undefined;
  /** A cache of Hugging Face's hub that gets the model instead, see hub-cache.ts. */
  readonly hub?: string | undefined;
  /** Which manifest of an index. @default the platform of this process */
  readonly platform?: Platform | undefined;
  /** Use the cache alone. @default false */
  readonly offline?: boolean | undefined;
  /** Hash again what is in the cache, and fetch again what isn't right. @default false */
  readonly verify?: boolean | undefined;
  /** What archives may ask for. @default {@link DEFAULT_LIMITS} */
  readonly limits?: Partial<UnpackLimits> | undefined;
  readonly onEvent?: EventListener | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface PullResult {
  /** Canonical. */
  readonly reference: string;
  /** Of the manifest; for an index, of the one that was chosen. */
  readonly digest: Digest;
  /** Absolute: the view's `model/`, the output directory, or the snapshot in a hub's cache. */
  readonly path: string;
  /** Of the artifact: `docker`, `unknown`. */
  readonly format: string;
}

/** Attempts at a view whose blobs somebody moves away, if only to look at the holds: see hold.ts. */
const MAX_ATTEMPTS = 5;

/**
 * Pulls a model. What is there already isn't fetched again: a second pull asks for the manifest
 * alone.
 *
 * @throws {Failure} `content` when something isn't what its digest says or is hostile; `disk`;
 *   `offline` when it isn't cached; `usage` when nothing is left to pull; what the client throws
 */
export async function pull(options: PullOptions): Promise<PullResult> {
  try {
    const artifact = await findArtifact(options);
    const { hub, output } = options;
    if (hub !== undefined) return await pullIntoHub(artifact, hub, options);
    return output === undefined
      ? await pullIntoCache(artifact, options)
      : await pullIntoDirectory(artifact, output, options);
  } catch (error) {
    throw diskFailure(error, "choose another directory, for the cache with --cache-dir");
  }
}

async function pullIntoCache(artifact: Artifact, options: PullOptions): Promise<PullResult> {
  const { cache, reference, verify } = options;
  const { digest, manifest } = artifact;
  if (!verify) await noteUse(cache, digest);
  // A damaged blob is fetched again even where the view has a copy that is right.
  const isDamaged = verify && (await verifyCached(artifact, [digest], options)) > 0;
  const view = isDamaged ? undefined : await readView(cache, digest);
  let format = view?.format ?? "";
  if (view?.complete && !wantsCopies(options)) {
    await nameView(artifact, options);
  } else {
    await requireOwnView(cache, digest);
    const needed = [digest, ...blobsOf(manifest).map((blob) => blob.digest)];
    // Until it has a name: nobody removes what has one and was just used.
    await holding(cache.blobs.partial, needed, async () => {
      format = await makeView(artifact, view, options);
      await nameView(artifact, options);
    });
  }
  const path = modelPath(cache, digest);
  return { reference: formatReference(reference), digest, path, format };
}

/** Checks that a view which is about to grow doesn't lead elsewhere. @throws {Failure} `disk` */
async function requireOwnView(cache: Cache, digest: Digest): Promise<void> {
  const path = cache.viewPath(digest);
  const view = await ownDirectory(dirname(path), basename(path));
  if (view === undefined || (await isOwnTree(view))) return;
  throw new Failure(
    "disk",
    `the view ${JSON.stringify(view)} has a symlink to a directory in it: 'ocireg cache verify' removes it`,
  );
}

/**
 * Fetches what is missing and makes the view; again, when blobs were removed from under it.
 *
 * @param view what there is already
 * @returns the format
 */
async function makeView(
  artifact: Artifact,
  view: ModelRecord | undefined,
  options: PullOptions,
): Promise<string> {
  const { cache, limits, offline, signal } = options;
  for (let attempt = 1; ; attempt++) {
    try {
      const { plan, files } = await planPull(artifact, cache.blobs, view, options);
      if (!view || !covers(view, files)) {
        const reserve = sumOf(files.filter(isArchive));
        const delivery = new Delivery((receive, ended) => {
          const ending = signal ? AbortSignal.any([signal, ended]) : ended;
          return fetchFiles(files, cache.blobs, { ...options, receive, reserve, signal: ending });
        });
        // Nothing is asked of a cache that may not have it, not even a lease.
        if (offline) await delivery.start();
        await ensureView(cache, artifact, plan, files, delivery, { limits, signal });
      }
      return plan.format;
    } catch (error) {
      if (!isMissing(error) || attempt === MAX_ATTEMPTS) throw error;
    }
  }
}

/** Lets the reference show its view. Where all is cached, a cache that can't be written is enough. */
async function nameView({ digest, platform }: Artifact, options: PullOptions): Promise<void> {
  if (options.offline) return;
  try {
    await options.cache.point(options.reference, digest, platform);
  } catch (error) {
    if (!isReadOnly(error)) throw error;
  }
}

async function pullIntoDirectory(
  artifact: Artifact,
  directory: string,
  options: PullOptions,
): Promise<PullResult> {
  const { cache, verify, limits, signal } = options;
  const { digest } = artifact;
  const output = await OutputDirectory.open(directory);
  const { path } = output;
  const reference = formatReference(options.reference);
  const record = await output.read();
  const isWhole = record?.digest === digest && record.complete;
  if (isWhole && !verify && !wantsCopies(options)) {
    return { reference, digest, path, format: record.format };
  }
  if (verify) await verifyCached(artifact, [], options);
  const { plan, files } = await planPull(artifact, output.blobs, record, options);
  const fetch = (needed: readonly PlannedFile[], receive: Receiver) => {
    // Each archive goes when it is unpacked: there is never more than one beside its content.
    const reserve = Math.max(0, ...needed.filter(isArchive).map((file) => file.descriptor.size));
    return fetchFiles(needed, output.blobs, { ...options, receive, reserve });
  };
  await output.show(artifact, plan, files, cache, fetch, { verify, limits, signal });
  return { reference, digest, path, format: plan.format };
}

async function pullIntoHub(
  artifact: Artifact,
  hub: string,
  options: PullOptions,
): Promise<PullResult> {
  const model = await HubModel.open(hub, options.reference);
  const pullInto = async (directory: string) => {
    await pullIntoDirectory(artifact, directory, options);
  };
  const { path, record } = await model.show(artifact, pullInto, options);
  const reference = formatReference(options.reference);
  return { reference, digest: artifact.digest, path, format: record.format };
}

/**
 * @param blobs where the config goes, if the plan wants it
 * @param record what is there already
 */
async function planPull(
  artifact: Artifact,
  blobs: BlobDirectory,
  record: ModelRecord | undefined,
  options: PullOptions,
): Promise<{ plan: Plan; files: readonly PlannedFile[] }> {
  const own = await planCached(artifact, blobs, options);
  const plan = await withParents(own, options.reference, async (reference) => {
    const parent = { ...options, reference };
    return planCached(await findArtifact(parent), blobs, parent);
  });
  if (!hasGlobs(options)) return { plan, files: plan.files };
  const { files: found, namesIn } = await lookUp(plan, record?.contents, options);
  const { files, contents } = selectFiles(found, options, namesIn);
  if (files.length === 0) {
    const name = formatReference(options.reference);
    throw new Failure(
      "usage",
      `--include and --exclude leave no file of ${name}: 'ocireg inspect ${name}' lists what it has`,
    );
  }
  return { plan: { ...plan, contents }, files };
}

/** A second copy of the weights, `consolidated*.safetensors`, is for who asks for it by name. */
function wantsCopies({ include = [] }: PullOptions): boolean {
  return include.some((glob) => glob.includes("consolidated"));
}

/** Plans an artifact whose config may be in the cache, and tells its warnings. */
async function planCached(
  { manifest }: Artifact,
  blobs: BlobDirectory,
  options: PullOptions,
): Promise<Plan> {
  const readBlob = (config: Descriptor) => readConfig(config, blobs, options);
  const { plan } = await planArtifact(manifest, readBlob, wantsCopies(options));
  for (const warning of plan.warnings) warn(options, warning);
  return plan;
}

async function readConfig(
  config: Descriptor,
  blobs: BlobDirectory,
  options: PullOptions,
): Promise<Uint8Array> {
  const cached = options.cache.blobs;
  if (await cached.has(config)) {
    // Unless somebody has just removed it.
    const content = await readFile(cached.path(config.digest)).catch(ignoreMissing);
    if (content) return content;
  }
  await fetchWanted([config], blobs, { ...options, onEvent: undefined });
  return readFile(blobs.path(config.digest));
}

/** How a transfer gives what it brings: see {@link TransferOptions}. */
type Fetching = PullOptions & Pick<TransferOptions, "receive" | "reserve">;

async function fetchFiles(
  files: readonly PlannedFile[],
  into: BlobDirectory,
  options: Fetching,
): Promise<void> {
  const groups = Map.groupBy(files, (file) => file.from);
  // Without any file, who listens still hears that it is done.
  if (groups.size === 0) groups.set(undefined, []);
  for (const [from, some] of groups) {
    const wanted = some.map(({ descriptor: { digest, size }, target }) => ({
      digest,
      size,
      ...subjectOf(target),
    }));
    await fetchWanted(wanted, into, from ? { ...options, reference: from } : options);
  }
}

/** Bytes of the blobs of files. */
function sumOf(files: readonly PlannedFile[]): number {
  return files.reduce((sum, { descriptor }) => sum + descriptor.size, 0);
}

function subjectOf(target: Target): Pick<WantedBlob, "path" | "kind"> {
  if (target.kind === "file") return { path: target.path };
  return { kind: target.kind === "shard" || target.kind === "unnamed" ? "shard" : "archive" };
}

async function fetchWanted(
  wanted: readonly WantedBlob[],
  into: BlobDirectory,
  options: Fetching,
): Promise<void> {
  const { client, reference: repository, receive, reserve, onEvent, signal } = options;
  if (options.offline) await requireBlobs(wanted, into, options);
  else await fetchBlobs(wanted, into, { client, repository, receive, reserve, onEvent, signal });
}

async function requireBlobs(
  wanted: readonly BlobId[],
  blobs: BlobDirectory,
  { reference, receive, signal = new AbortController().signal }: Fetching,
): Promise<void> {
  const present = [...new Map(wanted.map((blob) => [blob.digest, blob])).values()];
  for (const blob of present) {
    if (await blobs.has(blob)) continue;
    throw new Failure(
      "offline",
      `${blob.digest} of ${formatReference(reference)} isn't in the cache, and --offline forbids to fetch it: pull it once without`,
    );
  }
  for (const blob of present) await receive?.(blob, signal);
}

/** @returns how many files were damaged */
async function verifyCached(
  { manifest }: Artifact,
  views: readonly Digest[],
  options: PullOptions,
): Promise<number> {
  const { cache, onEvent, signal } = options;
  const blobs = blobsOf(manifest).map(({ digest }) => digest);
  const { damaged } = await verifyCache({ cache, blobs, views, onEvent, signal });
  for (const path of damaged) {
    warn(options, `${JSON.stringify(path)} in the cache was damaged: removed`);
  }
  return damaged.length;
}

function warn({ onEvent }: PullOptions, message: string): void {
  onEvent?.({ type: "warning", message });
}
