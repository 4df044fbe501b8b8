/**
 * Attaching files to a manifest: an artifact whose subject it is (image-spec, manifest.md,
 * "Guidelines for Artifact Usage").
 */
import { stat } from "node:fs/promises";
import { basename } from "node:path";
import { untilAborted } from "../lib/abort.ts";
import { isMissing } from "../lib/durable.ts";
import { Failure } from "../lib/failure.ts";
import { type Annotations, type Descriptor, EMPTY_DESCRIPTOR } from "../oci/descriptor.ts";
import { type Digest, digestOf } from "../oci/digest.ts";
import { isMediaType, OCI_IMAGE_MANIFEST } from "../oci/media-types.ts";
import { formatRepository, type Reference } from "../oci/reference.ts";
import type { RegistryClient } from "../registry/client.ts";
import { readFailure } from "./disk.ts";
import { type EventListener, ProgressMeter } from "./events.ts";
import { FileHasher } from "./file-hasher.ts";
import { transferLargestFirst } from "./largest-first.ts";
import { LocalFile, type PushTarget } from "./source-file.ts";

export interface AttachOptions {
  /** What is referred to. */
  readonly reference: Reference;
  /** Of files, whose names are the titles of the layers. */
  readonly paths: readonly string[];
  /** What it is: `application/spdx+json`. */
  readonly artifactType: string;
  /** Of all files. @default by their names */
  readonly mediaType?: string | undefined;
  /** Of the manifest, and so of its entry in the list of referrers. @default none */
  readonly annotations?: Annotations | undefined;
  readonly client: RegistryClient;
  readonly onEvent?: EventListener | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface AttachResult {
  /** `repository@digest` of the attachment. */
  readonly reference: string;
  readonly digest: Digest;
  /** What it is attached to. */
  readonly subject: Digest;
}

const PUSHES = 4;

const mediaTypes = new Map(
  Object.entries({
    json: "application/json",
    jsonl: "application/jsonl",
    xml: "application/xml",
    yaml: "application/yaml",
    yml: "application/yaml",
    md: "text/markdown",
    txt: "text/plain",
    csv: "text/csv",
    html: "text/html",
    pdf: "application/pdf",
    pem: "application/x-pem-file",
  }),
);

/**
 * Pushes the files and a manifest that refers to what `reference` names now. The same files attached
 * to the same manifest are the same artifact.
 *
 * @throws {Failure} `usage` where a type isn't one, a file isn't there, or two have one name; what
 *   the client throws
 */
export async function attach(options: AttachOptions): Promise<AttachResult> {
  const { reference, artifactType, annotations = {}, client, signal } = options;
  for (const type of [artifactType, options.mediaType]) {
    if (type === undefined || isMediaType(type)) continue;
    throw new Failure("usage", `${JSON.stringify(type.slice(0, 200))} isn't a media type`);
  }
  using hasher = new FileHasher();
  const files = await Promise.all(options.paths.map((path) => findFile(path, hasher)));
  const names = files.map(({ path }) => path);
  const twin = names.find((name, index) => names.indexOf(name) !== index);
  if (twin !== undefined) {
    throw new Failure(
      "usage",
      `two files have the name ${JSON.stringify(twin)}: attach one a time`,
    );
  }
  const { mediaType, digest, size } = await untilAborted(client.resolve(reference, signal), signal);
  const subject = { mediaType, digest, size };
  const layers = await pushFiles(files, options);
  await client.pushBlob(
    reference,
    EMPTY_DESCRIPTOR,
    () => new TextEncoder().encode("{}"),
    signal ? { signal } : {},
  );
  const manifest = new TextEncoder().encode(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: OCI_IMAGE_MANIFEST,
      artifactType,
      config: EMPTY_DESCRIPTOR,
      layers,
      subject,
      ...(Object.keys(annotations).length > 0 && { annotations }),
    }),
  );
  const { registry, repository } = reference;
  const attached = digestOf(manifest);
  const at = { registry, repository, digest: attached };
  signal?.throwIfAborted();
  await untilAborted(client.putManifest(at, manifest, OCI_IMAGE_MANIFEST), signal);
  return {
    reference: `${formatRepository(reference)}@${attached}`,
    digest: attached,
    subject: digest,
  };
}

async function findFile(path: string, hasher: FileHasher): Promise<LocalFile> {
  try {
    const there = await stat(path);
    if (there.isFile()) return new LocalFile(basename(path), path, there.size, hasher);
  } catch (error) {
    if (!isMissing(error)) throw readFailure(error, path);
    throw new Failure("usage", `can't attach ${JSON.stringify(path)}: it isn't there`, {
      cause: error,
    });
  }
  throw new Failure("usage", `can't attach ${JSON.stringify(path)}: it isn't a file`);
}

async function pushFiles(
  files: readonly LocalFile[],
  { reference, client, mediaType, onEvent, signal }: AttachOptions,
): Promise<Descriptor[]> {
  const to: PushTarget = { client, target: reference, onEvent };
  const total = files.reduce((sum, { size }) => sum + size, 0);
  using meter = new ProgressMeter(total, onEvent, "at most");
  const layers = await transferLargestFirst(files, PUSHES, signal, async (file, either) => {
    const { path, size } = file;
    const digest = await file.digest(either);
    const subject = { digest, size, path };
    await file.push({ digest, size }, to, meter, subject, either);
    meter.verified(subject);
    return {
      mediaType: mediaType ?? typeOf(path),
      digest,
      size,
      annotations: { "org.opencontainers.image.title": path },
    };
  });
  meter.done();
  return layers;
}

function typeOf(name: string): string {
  const extension = name.slice(name.lastIndexOf(".") + 1).toLowerCase();
  return mediaTypes.get(extension) ?? "application/octet-stream";
}
