/**
 * Copying a model into another format: manifest and config are written anew, and the files stay the
 * blobs that they are. Configuration in archives is unpacked, because other formats have it in files.
 */
import { join } from "node:path";
import { Failure } from "../lib/failure.ts";
import { surveyModel } from "../model/model-files.ts";
import { packerFor } from "../model/packers.ts";
import type { PackFormat } from "../model/packing.ts";
import { describeModel, type Plan } from "../model/plan.ts";
import type { PlannedFile } from "../model/planned-file.ts";
import { annotationsOf } from "../oci/partial.ts";
import { formatReference, type Reference, withDigest } from "../oci/reference.ts";
import { fetchArtifact } from "./artifact.ts";
import { blobReader, OutOfReach } from "./blob-reader.ts";
import { BlobDirectory } from "./blobs.ts";
import { type CopyOptions, type CopyResult, copy } from "./copy.ts";
import { FileHasher } from "./file-hasher.ts";
import { readContents, recogniseAll } from "./layer-contents.ts";
import { planArtifact, remoteBlobs } from "./plan-artifact.ts";
import { withStaging } from "./push.ts";
import { pushModel } from "./push-model.ts";
import { LocalFile, RemoteFile, type SourceFile } from "./source-file.ts";
import { fetchBlobs, type Receiver } from "./transfer.ts";
import { UnpackedLayers } from "./unpack/layers.ts";
import { isArchive } from "./unpack/unpack-layer.ts";
import { Unpacking } from "./unpack/unpacking.ts";

/** Bytes of all archives, which are unpacked here, and of what is in them: configuration has less. */
const MAX_ARCHIVES = 1024 * 1024 * 1024;
const LIMITS = { maxUnpackedSize: 4 * MAX_ARCHIVES };

export interface ConvertOptions extends Omit<CopyOptions, "referrers"> {
  readonly format: PackFormat;
}

/**
 * Copies the model that `source` names in another format, of an index the one for the platform. The
 * annotations of the manifest stay. What is of that format already is copied byte for byte.
 *
 * @throws {Failure} `usage` where the format has no place for a layer; what {@link copy} throws
 */
export async function convert(options: ConvertOptions): Promise<CopyResult> {
  const { source, target, client, format, platform, onEvent, signal } = options;
  const artifact = await fetchArtifact({ reference: source, client, platform, signal });
  const { digest, manifest } = artifact;
  const isConverted =
    manifest.kind === "image" && manifest.content.config.mediaType === packerFor(format).configType;
  if (isConverted) {
    return copy({ source: withDigest(source, digest), target, client, onEvent, signal });
  }
  const { plan, config } = await planArtifact(manifest, remoteBlobs(client, source, signal));
  const created = config && describeModel(manifest, config).created;
  const annotations = annotationsOf(manifest);
  using hasher = new FileHasher();
  return withStaging(async (staging) => {
    const files = await findFiles(plan, { ...options, staging, hasher });
    const push = { reference: target, client, format, annotations, created, onEvent, signal };
    return pushModel(files, { ...push, staging, hasher });
  });
}

interface FindOptions extends ConvertOptions {
  readonly staging: string;
  readonly hasher: FileHasher;
}

/** The files that a pull would make: those of archives are unpacked, the others stay where they are. */
async function findFiles(planned: Plan, options: FindOptions): Promise<SourceFile[]> {
  const { source, client, onEvent } = options;
  for (const message of planned.warnings) onEvent?.({ type: "warning", message });
  if (planned.parent !== undefined) {
    throw cannotConvert(
      source,
      `it has its model from another artifact, ${JSON.stringify(planned.parent.slice(0, 200))}`,
    );
  }
  const named = await nameFiles(planned.files, options);
  const layers: SourceFile[] = [];
  for (const file of named) {
    const { descriptor, target } = file;
    if (target.kind !== "file" || isArchive(file)) continue;
    // What is written anew says in the words of the old format what the new one's config says.
    if (target.content !== undefined) continue;
    layers.push(new RemoteFile(target.path, descriptor, { client, source }));
  }
  const found = await settle([...layers, ...(await unpackAll(named.filter(isArchive), options))]);
  // A large file without a known name is weights to who pushes a directory; here it may be anything.
  if (planned.format === "unknown" && surveyModel(found).format === undefined) {
    throw cannotConvert(source, "it is in no format that is known here, and has no weights");
  }
  return found;
}

/** The files with the names that their own headers tell, where the manifest has none. */
async function nameFiles(
  planned: readonly PlannedFile[],
  { source, client, signal }: FindOptions,
): Promise<PlannedFile[]> {
  const open = async ({ descriptor }: PlannedFile) =>
    blobReader(client, source, descriptor, { signal });
  const tolerates = (error: unknown) => error instanceof OutOfReach;
  const files = await recogniseAll(planned, open, tolerates);
  if (files.every(({ target }) => target.kind === "file" || target.kind === "archive"))
    return files;
  const contents = await readContents(files, { open, tolerates });
  return files.flatMap((file) => {
    if (file.target.kind === "file" || isArchive(file)) return [file];
    const names = contents.get(file);
    if (!names) throw cannotConvert(source, `nothing tells the name of ${file.descriptor.digest}`);
    return names.map(({ path }): PlannedFile => ({ ...file, target: { kind: "file", path } }));
  });
}

/** The same content twice under one path is one file; what is different is refused by the survey. */
async function settle(files: readonly SourceFile[]): Promise<SourceFile[]> {
  const settled: SourceFile[] = [];
  const seen = new Map<string, SourceFile>();
  for (const file of files) {
    const earlier = seen.get(file.path);
    if (earlier && (await earlier.digest()) === (await file.digest())) continue;
    seen.set(file.path, file);
    settled.push(file);
  }
  return settled;
}

/** The files of the archives, in the staging directory. */
async function unpackAll(
  archives: readonly PlannedFile[],
  { source, client, staging, hasher, signal }: FindOptions,
): Promise<SourceFile[]> {
  const size = archives.reduce((sum, { descriptor }) => sum + descriptor.size, 0);
  if (size > MAX_ARCHIVES) {
    throw cannotConvert(source, `its archives have ${size} bytes, more than ${MAX_ARCHIVES}`);
  }
  const blobs = new BlobDirectory(join(staging, "source"));
  const unpacked = join(staging, "unpacked");
  const layers = new UnpackedLayers(unpacked, `${unpacked}.new`);
  const unpacking = new Unpacking(archives, blobs, layers, { limits: LIMITS, signal });
  const wanted = archives.map(({ descriptor }) => descriptor);
  const receive: Receiver = (blob, ending) => unpacking.receive(blob, ending);
  await fetchBlobs(wanted, blobs, { client, repository: source, receive, signal });
  return unpacking
    .modelFiles()
    .map(({ path, source: place, size: length }) => new LocalFile(path, place, length, hasher));
}

function cannotConvert(source: Reference, reason: string): Failure {
  return new Failure(
    "usage",
    `can't convert ${formatReference(source)}: ${reason}: pull it, and push what comes`,
  );
}
