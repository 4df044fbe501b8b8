/** Pushing a model: from a directory to an artifact that {@link pull} makes the same files of. */
import { mkdtemp, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Failure } from "../lib/failure.ts";
import { DOCKER_CONFIG_TAR, DOCKER_CONFIG_V01, DOCKER_DIRECTORY_TAR } from "../model/docker.ts";
import { dockerConfig, type Packing, packDocker } from "../model/docker-pack.ts";
import { ggufFacts, type ModelFacts, safetensorsFacts } from "../model/facts.ts";
import type { Annotations, Descriptor } from "../oci/descriptor.ts";
import { type Digest, digestOf } from "../oci/digest.ts";
import { OCI_IMAGE_MANIFEST } from "../oci/media-types.ts";
import { describe } from "../oci/partial.ts";
import { formatReference, formatRepository, type Reference } from "../oci/reference.ts";
import type { RegistryClient } from "../registry/client.ts";
import { digestFile } from "./blobs.ts";
import { diskFailure } from "./disk.ts";
import { type EventListener, ProgressMeter, type Subject } from "./events.ts";
import { transferLargestFirst } from "./largest-first.ts";
import { type LocalFile, listModel } from "./model-directory.ts";
import { packTar } from "./pack-tar.ts";
import { pushCounted } from "./push-blob.ts";
import { readGgufHead, readSafetensorsHeader } from "./weight-headers.ts";

export interface PushOptions {
  /** A directory in the layout of Hugging Face, or one weight file. */
  readonly path: string;
  readonly reference: Reference;
  readonly client: RegistryClient;
  readonly format: "docker";
  /** Of the manifest. @default none */
  readonly annotations?: Annotations | undefined;
  readonly onEvent?: EventListener | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface PushResult {
  /** `repository@digest`. */
  readonly reference: string;
  readonly digest: Digest;
}

/** A layer before it has a digest. */
interface LayerSource {
  readonly mediaType: string;
  readonly source: string;
  /** Bytes. */
  readonly size: number;
  /** The path that a pull gives the file; archives have none. */
  readonly path?: string;
}

/** Blobs that are hashed and pushed at a time. */
const CONCURRENCY = 4;

/**
 * Pushes a model. The same files make the same manifest on every machine. Weights come first, in
 * shard order, then the configuration archive, then licences.
 *
 * @throws {Failure} `usage` when the path holds no model, or the reference's digest is another;
 *   `content` when a weight file isn't valid; what the client throws
 */
export async function push(options: PushOptions): Promise<PushResult> {
  const staging = await mkdtemp(join(tmpdir(), "ocireg-push-"));
  try {
    return await pushFrom(staging, options);
  } catch (error) {
    throw diskFailure(error);
  } finally {
    await rm(staging, { recursive: true, force: true });
  }
}

async function pushFrom(staging: string, options: PushOptions): Promise<PushResult> {
  const { reference, client, annotations = {}, onEvent, signal } = options;
  const files = new Map((await listModel(options.path)).map((file) => [file.path, file]));
  const packing = packDocker([...files.keys()]);
  for (const path of packing.leftOut) {
    const message = `left out ${JSON.stringify(path)}: the docker format has no place for it`;
    onEvent?.({ type: "warning", message });
  }
  const facts = await readFacts(packing, files);
  const sources = await layerSources(packing, files, staging);

  using meter = new ProgressMeter(
    sources.reduce((sum, { size }) => sum + size, 0),
    onEvent,
    "at most",
  );
  const pushed = new Map<Digest, Promise<unknown>>();
  const layers = await transferLargestFirst(sources, CONCURRENCY, signal, (source, either) =>
    pushLayer(source, { ...options, signal: either }, meter, pushed),
  );
  const config = Buffer.from(
    dockerConfig(
      packing.format,
      facts,
      layers.map(({ digest }) => digest),
    ),
  );
  const manifest = Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: OCI_IMAGE_MANIFEST,
      config: describe(DOCKER_CONFIG_V01, config),
      layers,
      ...(Object.keys(annotations).length > 0 && { annotations }),
    }),
  );
  const digest = digestOf(manifest);
  if (reference.digest !== undefined && reference.digest !== digest) {
    throw new Failure(
      "usage",
      `the model's manifest is ${digest}, which isn't the digest of ${formatReference(reference)}: push to a tag`,
    );
  }
  await client.pushBlob(
    reference,
    describe(DOCKER_CONFIG_V01, config),
    () => config,
    signal ? { signal } : {},
  );
  signal?.throwIfAborted();
  await client.putManifest(reference, manifest, OCI_IMAGE_MANIFEST);
  meter.done();
  return { reference: `${formatRepository(reference)}@${digest}`, digest };
}

async function readFacts(
  packing: Packing,
  files: ReadonlyMap<string, LocalFile>,
): Promise<ModelFacts> {
  const weights = packing.weights.map(({ path }) => fileAt(files, path));
  const size = weights.reduce((sum, file) => sum + file.size, 0);
  if (packing.format === "gguf") {
    const heads = [];
    for (const { source } of weights) heads.push(await readGgufHead(source, source));
    return ggufFacts(heads, size);
  }
  const headers = [];
  for (const { source } of weights) headers.push(await readSafetensorsHeader(source, source));
  return safetensorsFacts(headers, await readConfigJson(files.get("config.json")), size);
}

async function readConfigJson(file: LocalFile | undefined): Promise<unknown> {
  try {
    return file && (await Bun.file(file.source).json());
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    throw new Failure("content", `${JSON.stringify(file?.source)} isn't JSON`, { cause: error });
  }
}

/** The layers in their order; archives are packed into `staging`. */
async function layerSources(
  packing: Packing,
  files: ReadonlyMap<string, LocalFile>,
  staging: string,
): Promise<LayerSource[]> {
  const asLayer = ({ path, mediaType }: { path: string; mediaType: string }) => {
    const { source, size } = fileAt(files, path);
    return { mediaType, source, size, path };
  };
  const archives = [
    { mediaType: DOCKER_CONFIG_TAR, paths: packing.config },
    ...packing.directories.map((folder) => ({
      mediaType: DOCKER_DIRECTORY_TAR,
      paths: folder.files,
    })),
  ];
  const packed: LayerSource[] = [];
  for (const [index, { mediaType, paths }] of archives.entries()) {
    if (paths.length === 0) continue;
    const target = join(staging, `${index}.tar`);
    await packTar(
      paths.map((path) => ({ name: path, source: fileAt(files, path).source })),
      target,
    );
    packed.push({ mediaType, source: target, size: (await stat(target)).size });
  }
  return [...packing.weights.map(asLayer), ...packed, ...packing.documents.map(asLayer)];
}

/** @param pushed what is on its way, or there: of files that are the same, one is sent */
async function pushLayer(
  { mediaType, source, size, path }: LayerSource,
  { client, reference, signal }: PushOptions,
  meter: ProgressMeter,
  pushed: Map<Digest, Promise<unknown>>,
): Promise<Descriptor> {
  const digest = await digestFile(source, "sha256", signal);
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
    const open = () => Bun.file(source);
    const from = { client, target: reference, open, signal };
    const pushing = pushCounted({ digest, size }, from, meter, subject);
    pushed.set(digest, pushing);
    await pushing;
  }
  meter.verified(subject);
  return {
    mediaType,
    digest,
    size,
    ...(path !== undefined && { annotations: { "org.cncf.model.filepath": path } }),
  };
}

function fileAt(files: ReadonlyMap<string, LocalFile>, path: string): LocalFile {
  const file = files.get(path);
  if (!file) throw new Error(`${path} isn't a file of the model`);
  return file;
}
