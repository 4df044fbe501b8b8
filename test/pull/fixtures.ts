/** What the tests of pull and push have in common: a registry, a client, a cache, artifacts. */
import { expect } from "bun:test";
import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { join } from "node:path";
import { Failure, type FailureKind } from "../../src/lib/failure.ts";
import type { Descriptor } from "../../src/oci/descriptor.ts";
import { type Digest, digestOf, encodedOf } from "../../src/oci/digest.ts";
import { OCI_ARTIFACT_MANIFEST, OCI_IMAGE_MANIFEST } from "../../src/oci/media-types.ts";
import { parseReference, type Reference } from "../../src/oci/reference.ts";
import { Cache } from "../../src/pull/cache.ts";
import { RegistryClient } from "../../src/registry/client.ts";
import { startTestRegistry, type TestRegistry } from "../support/registry.ts";
import { temporaryDirectory } from "../support/temp.ts";

export interface World {
  readonly registry: TestRegistry;
  readonly client: RegistryClient;
  /** `METHOD kind` of every request, as `GET manifests`. */
  readonly requests: string[];
  /** Bytes of blobs that were sent. */
  readonly sent: { bytes: number };
  reference(text: string): Reference;
  /** A cache in a fresh directory. */
  newCache(): Cache;
}

export async function startWorld(): Promise<World> {
  const requests: string[] = [];
  const sent = { bytes: 0 };
  const registry = await startTestRegistry({
    sparse: "image",
    onRequest: ({ method, path, bytes = 0 }) => {
      const kind = /\/(manifests|blobs|tags)\//.exec(path)?.[1] ?? path;
      requests.push(`${method} ${kind}`);
      if (method === "GET" && kind === "blobs") sent.bytes += bytes;
    },
  });
  return {
    registry,
    client: new RegistryClient({ env: {} }),
    requests,
    sent,
    reference: (text) => parseReference(`${registry.host}/${text}`),
    newCache: () => new Cache(join(temporaryDirectory(), "cache")),
  };
}

export interface Layer {
  readonly mediaType: string;
  readonly content: string | Uint8Array;
  readonly annotations?: Readonly<Record<string, string>>;
  /** Ollama's: beside the digest, not among the annotations. */
  readonly name?: string;
}

export interface ArtifactInput {
  readonly layers: readonly Layer[];
  readonly configType?: string;
  readonly config?: string;
  readonly artifactType?: string;
  /** Of the manifest; that of artifacts has no config. @default an OCI image manifest */
  readonly mediaType?: string;
  /** Of the manifest. */
  readonly annotations?: Readonly<Record<string, string>>;
}

/** Pushes an artifact as some other program may have made it. */
export async function pushArtifact(
  { client }: World,
  reference: Reference,
  {
    layers,
    configType = "application/json",
    config = "{}",
    artifactType,
    annotations,
    mediaType: manifestType = OCI_IMAGE_MANIFEST,
  }: ArtifactInput,
): Promise<Digest> {
  const put = async ({ mediaType, content, annotations, name }: Layer): Promise<Descriptor> => {
    const bytes = typeof content === "string" ? new TextEncoder().encode(content) : content;
    const descriptor = { mediaType, digest: digestOf(bytes), size: bytes.byteLength };
    await client.pushBlob(reference, descriptor, () => bytes);
    return { ...descriptor, ...(annotations && { annotations }), ...(name && { name }) };
  };
  const blobs = await Promise.all(layers.map(put));
  const about = {
    mediaType: manifestType,
    ...(artifactType && { artifactType }),
    ...(annotations && { annotations }),
  };
  const manifest =
    manifestType === OCI_ARTIFACT_MANIFEST
      ? { ...about, blobs }
      : {
          schemaVersion: 2,
          ...about,
          config: await put({ mediaType: configType, content: config }),
          layers: blobs,
        };
  const bytes = new TextEncoder().encode(JSON.stringify(manifest));
  return client.putManifest(reference, bytes, manifestType);
}

/** Where the test registry keeps a blob. */
export function storedBlob({ registry }: World, digest: Digest): string {
  const hex = encodedOf(digest);
  return join(registry.root, "docker/registry/v2/blobs/sha256", hex.slice(0, 2), hex, "data");
}

/** Waits for a failure and checks its kind. */
export async function failureOf(promise: Promise<unknown>, kind: FailureKind): Promise<Failure> {
  try {
    await promise;
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    expect({ kind: error.kind, message: error.message }).toEqual({ kind, message: error.message });
    expect(error.message).not.toContain("\n");
    return error;
  }
  throw new Error("it was expected to fail");
}

/** Every file below a directory with its content, a symlink with where it leads; sorted. */
export function tree(directory: string): Record<string, string> {
  const found: [string, string][] = [];
  const walk = (path: string) => {
    for (const entry of readdirSync(join(directory, path), { withFileTypes: true })) {
      const child = path === "" ? entry.name : `${path}/${entry.name}`;
      const absolute = join(directory, child);
      if (entry.isDirectory()) walk(child);
      else if (entry.isSymbolicLink()) found.push([child, `-> ${readlinkSync(absolute)}`]);
      else found.push([child, digestOf(readFileSync(absolute))]);
    }
  };
  walk("");
  return Object.fromEntries(found.sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** Every file below a directory with its content, symlinks followed. */
export function contents(directory: string): Record<string, string> {
  const paths = Object.keys(tree(directory));
  return Object.fromEntries(
    paths.map((path) => [path, readFileSync(join(directory, path), "latin1")]),
  );
}

/** {@link tree}, or nothing where there is no directory. */
export function treeIfThere(directory: string): Record<string, string> {
  try {
    return tree(directory);
  } catch {
    return {};
  }
}
