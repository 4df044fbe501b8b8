/** Pulling a model: from a reference to a directory that an inference engine opens. */
import { readFile } from "node:fs/promises";
import { Failure } from "../lib/failure.ts";
import { configFor, type Plan, plan as planModel } from "../model/plan.ts";
import type { PlannedFile } from "../model/planned-file.ts";
import type { Descriptor, Platform } from "../oci/descriptor.ts";
import { type Digest, encodedOf } from "../oci/digest.ts";
import { embeddedData } from "../oci/partial.ts";
import { formatReference, type Reference } from "../oci/reference.ts";
import type { RegistryClient } from "../registry/client.ts";
import { type Artifact, findArtifact } from "./artifact.ts";
import type { BlobDirectory, BlobId } from "./blobs.ts";
import type { Cache } from "./cache.ts";
import { diskFailure } from "./disk.ts";
import type { EventListener } from "./events.ts";
import { OutputDirectory } from "./output.ts";
import { covers } from "./record.ts";
import { fetchBlobs, type WantedBlob } from "./transfer.ts";
import { ensureView, modelPath, readView, verifyView } from "./view.ts";

export interface PullOptions {
  readonly reference: Reference;
  readonly client: RegistryClient;
  readonly cache: Cache;
  /** A directory for the files, instead of the cache's own. */
  readonly output?: string | undefined;
  /**
   * Globs of the files to take, and to leave; a glob without `/` looks at file names, one with at
   * paths. They apply to files that the manifest names: archives, and weights whose names only
   * their headers tell, always come. @default everything
   */
  readonly include?: readonly string[] | undefined;
  readonly exclude?: readonly string[] | undefined;
  /** Which manifest of an index. @default the platform of this process */
  readonly platform?: Platform | undefined;
  /** Use the cache alone. @default false */
  readonly offline?: boolean | undefined;
  /** Hash again what is in the cache, and fetch again what isn't right. @default false */
  readonly verify?: boolean | undefined;
  readonly onEvent?: EventListener | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface PullResult {
  /** Canonical. */
  readonly reference: string;
  /** Of the manifest; for an index, of the one that was chosen. */
  readonly digest: Digest;
  /** Absolute: the view's `model/`, or the output directory. */
  readonly path: string;
  /** Of the artifact: `docker`, `unknown`. */
  readonly format: string;
}

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
    return options.output === undefined
      ? await pullIntoCache(artifact, options)
      : await pullIntoDirectory(artifact, options.output, options);
  } catch (error) {
    throw diskFailure(error);
  }
}

async function pullIntoCache(artifact: Artifact, options: PullOptions): Promise<PullResult> {
  const { cache, reference, verify, signal } = options;
  const { digest } = artifact;
  const view = verify ? undefined : await readView(cache, digest);
  let format = view?.format ?? "";
  if (!view?.complete) {
    const { plan, files } = await planPull(artifact, cache.blobs, options);
    if (verify) {
      await verifyCachedBlobs(files, options);
      for (const path of await verifyView(cache, digest, signal)) {
        warn(options, `the file ${JSON.stringify(path)} in the cache was damaged: removed`);
      }
    }
    if (!view || !covers(view, files)) {
      await fetchFiles(files, cache.blobs, options);
      await ensureView(cache, artifact, plan, files, signal);
    }
    format = plan.format;
  }
  if (!options.offline) await cache.point(reference, digest, artifact.platform);
  const path = modelPath(cache, digest);
  return { reference: formatReference(reference), digest, path, format };
}

async function pullIntoDirectory(
  artifact: Artifact,
  directory: string,
  options: PullOptions,
): Promise<PullResult> {
  const { cache, verify, signal } = options;
  const { digest } = artifact;
  const output = await OutputDirectory.open(directory);
  const { path } = output;
  const reference = formatReference(options.reference);
  const record = verify ? undefined : await output.read();
  if (record?.digest === digest && record.complete) {
    return { reference, digest, path, format: record.format };
  }
  const { plan, files } = await planPull(artifact, output.blobs, options);
  if (verify) await verifyCachedBlobs(files, options);
  const fetch = () => fetchFiles(files, output.blobs, options);
  await output.show(artifact, plan, files, cache, fetch, { verify, signal });
  return { reference, digest, path, format: plan.format };
}

/** @param blobs where the config goes, if the plan wants it */
async function planPull(
  artifact: Artifact,
  blobs: BlobDirectory,
  options: PullOptions,
): Promise<{ plan: Plan; files: readonly PlannedFile[] }> {
  const config = configFor(artifact.manifest);
  const plan = planModel(artifact.manifest, config && (await readConfig(config, blobs, options)));
  for (const warning of plan.warnings) warn(options, warning);
  const files = selectFiles(plan.files, options);
  if (files.length === 0) {
    throw new Failure(
      "usage",
      `--include and --exclude leave no file of ${formatReference(options.reference)}`,
    );
  }
  return { plan, files };
}

async function readConfig(
  config: Descriptor,
  blobs: BlobDirectory,
  options: PullOptions,
): Promise<Uint8Array> {
  const embedded = embeddedData(config);
  if (embedded) return embedded;
  const cached = options.cache.blobs;
  if (await cached.has(config)) return readFile(cached.path(config.digest));
  await fetchWanted([config], blobs, { ...options, onEvent: undefined });
  return readFile(blobs.path(config.digest));
}

function selectFiles(
  files: readonly PlannedFile[],
  { include = [], exclude = [] }: PullOptions,
): readonly PlannedFile[] {
  return files.filter(
    ({ target }) =>
      target.kind !== "file" ||
      ((include.length === 0 || matchesAny(include, target.path)) &&
        !matchesAny(exclude, target.path)),
  );
}

function matchesAny(globs: readonly string[], path: string): boolean {
  const name = path.slice(path.lastIndexOf("/") + 1);
  return globs.some((glob) => new Bun.Glob(glob).match(glob.includes("/") ? path : name));
}

function fetchFiles(
  files: readonly PlannedFile[],
  into: BlobDirectory,
  options: PullOptions,
): Promise<void> {
  const wanted = files.map(({ descriptor: { digest, size }, target }) => ({
    digest,
    size,
    ...(target.kind === "file" ? { path: target.path } : { kind: target.kind }),
  }));
  return fetchWanted(wanted, into, options);
}

async function fetchWanted(
  wanted: readonly WantedBlob[],
  into: BlobDirectory,
  options: PullOptions,
): Promise<void> {
  if (options.offline) return requireBlobs(wanted, into, options);
  const { client, reference: repository, onEvent, signal } = options;
  await fetchBlobs(wanted, into, { client, repository, onEvent, signal });
}

async function requireBlobs(
  wanted: readonly BlobId[],
  blobs: BlobDirectory,
  { reference }: PullOptions,
): Promise<void> {
  for (const blob of wanted) {
    if (await blobs.has(blob)) continue;
    throw new Failure(
      "offline",
      `${blob.digest} of ${formatReference(reference)} isn't in the cache, and --offline forbids to fetch it: pull it once without`,
    );
  }
}

async function verifyCachedBlobs(
  files: readonly PlannedFile[],
  options: PullOptions,
): Promise<void> {
  for (const { descriptor } of files) {
    if (await options.cache.blobs.verify(descriptor, options.signal)) continue;
    warn(options, `the blob ${encodedOf(descriptor.digest)} in the cache was damaged: removed`);
  }
}

function warn({ onEvent }: PullOptions, message: string): void {
  onEvent?.({ type: "warning", message });
}
