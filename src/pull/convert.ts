/**
 * Copying a model into another format: manifest and config are written anew, and the files stay the
 * blobs that they are. Configuration in archives is unpacked, because other formats have it in files.
 */
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { Failure } from "../lib/failure.ts";
import { surveyModel } from "../model/model-files.ts";
import { packerFor } from "../model/packers.ts";
import type { PackFormat } from "../model/packing.ts";
import { configFor, describeModel, plan } from "../model/plan.ts";
import type { PlannedFile } from "../model/planned-file.ts";
import type { Descriptor } from "../oci/descriptor.ts";
import type { Manifest } from "../oci/manifest.ts";
import { annotationsOf, embeddedData } from "../oci/partial.ts";
import { formatReference, type Repository, withDigest } from "../oci/reference.ts";
import type { RegistryClient } from "../registry/client.ts";
import { fetchArtifact } from "./artifact.ts";
import { BlobDirectory } from "./blobs.ts";
import { type CopyOptions, type CopyResult, copy } from "./copy.ts";
import { FileHasher } from "./file-hasher.ts";
import { withStaging } from "./push.ts";
import { pushModel } from "./push-model.ts";
import { LocalFile, RemoteFile, type SourceFile } from "./source-file.ts";
import { fetchBlobs } from "./transfer.ts";
import { unpackTar } from "./unpack.ts";

/** Bytes of all archives, which are unpacked here: what holds configuration has less. */
const MAX_ARCHIVES = 1024 * 1024 * 1024;

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
  const wanted = configFor(manifest);
  const config = wanted && (await readBlob(client, source, wanted, signal));
  const created = config && describeModel(manifest, config).created;
  const annotations = annotationsOf(manifest);
  using hasher = new FileHasher();
  return withStaging(async (staging) => {
    const files = await findFiles(manifest, config, { ...options, staging, hasher });
    const push = { reference: target, client, format, annotations, created, onEvent, signal };
    return pushModel(files, { ...push, staging, hasher });
  });
}

interface FindOptions extends ConvertOptions {
  readonly staging: string;
  readonly hasher: FileHasher;
}

/** The files that a pull would make: those of archives are unpacked, the others stay where they are. */
async function findFiles(
  manifest: Manifest,
  config: Uint8Array | undefined,
  options: FindOptions,
): Promise<SourceFile[]> {
  const { source, client, onEvent } = options;
  const planned = plan(manifest, config);
  for (const message of planned.warnings) onEvent?.({ type: "warning", message });
  const archives = planned.files.filter(isArchive);
  const files: SourceFile[] = planned.files
    .filter((file) => !isArchive(file))
    .map(
      (file) => new RemoteFile(pathOf(file, planned.files), file.descriptor, { client, source }),
    );
  const found = await settle([...files, ...(await unpackAll(archives, options))]);
  // A large file without a known name is weights to who pushes a directory; here it may be anything.
  if (planned.format === "unknown" && surveyModel(found).format === undefined) {
    throw new Failure(
      "usage",
      `${formatReference(source)} is in no format that is known here, and has no weights: it can't be converted`,
    );
  }
  return found;
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

function pathOf(file: PlannedFile, files: readonly PlannedFile[]): string {
  const { target } = file;
  if (target.kind === "file") return target.path;
  const isAlone = files.filter(({ target: { kind } }) => kind === target.kind).length === 1;
  if (target.kind === "shard" && isAlone) return `model.${target.encoding}`;
  const what = target.kind === "shard" ? "a shard without a name" : "one of a container image";
  throw cannotConvert(file, what);
}

type PlannedArchive = PlannedFile & { readonly target: { readonly kind: "archive" } };

function isArchive(file: PlannedFile): file is PlannedArchive {
  return file.target.kind === "archive";
}

/** The files of the archives, in the staging directory. */
async function unpackAll(
  archives: readonly PlannedArchive[],
  { source, client, staging, hasher, signal }: FindOptions,
): Promise<SourceFile[]> {
  const packed = archives.find(({ target }) => target.compression !== "none");
  if (packed) throw cannotConvert(packed, "a compressed archive");
  const size = archives.reduce((sum, { descriptor }) => sum + descriptor.size, 0);
  const [first] = archives;
  if (first && size > MAX_ARCHIVES) throw cannotConvert(first, "an archive that is too large");
  const blobs = new BlobDirectory(join(staging, "source"));
  const wanted = archives.map(({ descriptor }) => descriptor);
  await fetchBlobs(wanted, blobs, { client, repository: source, signal });
  const files: SourceFile[] = [];
  for (const [index, { descriptor }] of archives.entries()) {
    const directory = join(staging, `unpacked-${index}`);
    await mkdir(directory);
    const what = `the layer ${descriptor.digest}`;
    const path = blobs.path(descriptor.digest);
    for (const file of await unpackTar(path, directory, { source: what, signal })) {
      files.push(new LocalFile(file.path, join(directory, file.path), file.size, hasher));
    }
  }
  return files;
}

function cannotConvert({ descriptor }: PlannedFile, what: string): Failure {
  return new Failure(
    "usage",
    `can't convert the layer ${descriptor.digest}, which is ${what}: pull the model, and push what comes`,
  );
}

async function readBlob(
  client: RegistryClient,
  repository: Repository,
  blob: Descriptor,
  signal: AbortSignal | undefined,
): Promise<Uint8Array> {
  const embedded = embeddedData(blob);
  if (embedded) return embedded;
  const stream = await client.openBlob(repository, blob, signal ? { signal } : {});
  return Bun.readableStreamToBytes(stream);
}
