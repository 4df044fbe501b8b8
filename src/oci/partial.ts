/**
 * Answers that need only a part of an image: everything a manifest names, which platform's manifest
 * to take, what a configuration says. The counterpart of go-containerregistry's `v1/partial`.
 */
import { type Static, Type } from "@sinclair/typebox";
import { Value } from "@sinclair/typebox/value";
import {
  type Annotations,
  type Descriptor,
  formatPlatform,
  matchesPlatform,
  type Platform,
} from "./descriptor.ts";
import { type Digest, digestOf } from "./digest.ts";
import type { Manifest } from "./manifest.ts";

/** The blobs that a manifest names: its config first, then its layers in order. */
export function blobsOf(manifest: Manifest): Descriptor[] {
  if (manifest.kind === "image") return [manifest.content.config, ...manifest.content.layers];
  if (manifest.kind === "artifact") return manifest.content.blobs ?? [];
  return [];
}

/** The manifests that an index names. */
export function manifestsOf(manifest: Manifest): Descriptor[] {
  return manifest.kind === "index" ? manifest.content.manifests : [];
}

/** Everything that a manifest names but its subject. */
export function descriptorsOf(manifest: Manifest): Descriptor[] {
  return [...blobsOf(manifest), ...manifestsOf(manifest)];
}

/** What this manifest refers to: it is then a referrer of it. */
export function subjectOf(manifest: Manifest): Descriptor | undefined {
  return manifest.kind === "other" ? undefined : manifest.content.subject;
}

export function annotationsOf(manifest: Manifest): Annotations | undefined {
  return manifest.kind === "other" ? undefined : manifest.content.annotations;
}

/**
 * The artifact type that a referrers list shows: an image without one takes its config's media
 * type, an index has none (distribution-spec, "Listing Referrers").
 */
export function artifactTypeOf(manifest: Manifest): string | undefined {
  if (manifest.kind === "other") return undefined;
  if (manifest.content.artifactType) return manifest.content.artifactType;
  return manifest.kind === "image" ? manifest.content.config.mediaType : undefined;
}

/** The descriptor of a manifest's own bytes, without annotations. */
export function describe(mediaType: string, bytes: Uint8Array, digest?: Digest): Descriptor {
  return { mediaType, digest: digest ?? digestOf(bytes), size: bytes.byteLength };
}

/** The entry of a referrers list for a manifest (distribution-spec, "Listing Referrers"). */
export function referrerOf(manifest: Manifest, bytes: Uint8Array, digest: Digest): Descriptor {
  const artifactType = artifactTypeOf(manifest);
  const annotations = annotationsOf(manifest);
  return {
    ...describe(manifest.mediaType, bytes, digest),
    ...(artifactType && { artifactType }),
    ...(annotations && { annotations }),
  };
}

export class NoSuchPlatformError extends Error {
  override readonly name = "NoSuchPlatformError";
  constructor(
    readonly wanted: Platform,
    readonly offered: readonly Descriptor[],
  ) {
    const list = offered.map((d) => (d.platform ? formatPlatform(d.platform) : d.digest));
    super(
      `no manifest for platform ${formatPlatform(wanted)} in the index, which has ${
        list.length ? list.slice(0, 20).join(", ") : "none"
      }`,
    );
  }
}

/** An attestation that BuildKit stores beside the images, not content to run. */
function isAttestation(descriptor: Descriptor): boolean {
  return (
    descriptor.platform?.os === "unknown" ||
    descriptor.annotations?.["vnd.docker.reference.type"] === "attestation-manifest"
  );
}

/**
 * The manifest of an index to take for `wanted`. One candidate is taken whatever its platform, as
 * model artifacts often have none; attestations don't count.
 *
 * @throws {NoSuchPlatformError}
 */
export function selectPlatform(manifests: readonly Descriptor[], wanted: Platform): Descriptor {
  const candidates = manifests.filter((descriptor) => !isAttestation(descriptor));
  const chosen =
    candidates.length === 1
      ? candidates[0]
      : candidates.find((descriptor) => matchesPlatform(descriptor.platform, wanted));
  if (!chosen) throw new NoSuchPlatformError(wanted, candidates);
  return chosen;
}

/** The platform that this process runs on, in Go's names. */
export function hostPlatform(): Platform {
  const architecture = process.arch === "x64" ? "amd64" : process.arch;
  const os = process.platform === "win32" ? "windows" : process.platform;
  return { os, architecture };
}

/** The configuration of a container image: image-spec, config.md, the part that people ask for. */
export const ConfigFile = Type.Object({
  architecture: Type.Optional(Type.String()),
  os: Type.Optional(Type.String()),
  variant: Type.Optional(Type.String()),
  "os.version": Type.Optional(Type.String()),
  created: Type.Optional(Type.String()),
  author: Type.Optional(Type.String()),
  config: Type.Optional(
    Type.Object({
      User: Type.Optional(Type.String()),
      Env: Type.Optional(Type.Array(Type.String())),
      Entrypoint: Type.Optional(Type.Union([Type.Array(Type.String()), Type.Null()])),
      Cmd: Type.Optional(Type.Union([Type.Array(Type.String()), Type.Null()])),
      WorkingDir: Type.Optional(Type.String()),
      Labels: Type.Optional(Type.Union([Type.Record(Type.String(), Type.String()), Type.Null()])),
    }),
  ),
  rootfs: Type.Optional(Type.Object({ type: Type.String(), diff_ids: Type.Array(Type.String()) })),
  history: Type.Optional(
    Type.Array(
      Type.Object({
        created: Type.Optional(Type.String()),
        created_by: Type.Optional(Type.String()),
        comment: Type.Optional(Type.String()),
        empty_layer: Type.Optional(Type.Boolean()),
      }),
    ),
  ),
});
export type ConfigFile = Static<typeof ConfigFile>;

/** Reads an image's configuration; undefined when the bytes aren't one. */
export function parseConfigFile(bytes: Uint8Array): ConfigFile | undefined {
  try {
    const json: unknown = JSON.parse(new TextDecoder().decode(bytes));
    return Value.Check(ConfigFile, json) ? json : undefined;
  } catch {
    return undefined;
  }
}

/** The content that a descriptor carries in itself, where it does and where it matches. */
export function embeddedData(descriptor: Descriptor): Uint8Array | undefined {
  if (descriptor.data === undefined) return undefined;
  const bytes = Uint8Array.from(Buffer.from(descriptor.data, "base64"));
  const algorithm = descriptor.digest.slice(0, descriptor.digest.indexOf(":"));
  return bytes.byteLength === descriptor.size && digestOf(bytes, algorithm) === descriptor.digest
    ? bytes
    : undefined;
}
