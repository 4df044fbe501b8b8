/**
 * Answers that need only a part of an image: what a manifest names, its entry in a referrers list,
 * which platform's manifest to take. The counterpart of go-containerregistry's `v1/partial`:
 * `Descriptor` is `describe`, `BlobDescriptor` is `findBlob`, `ArtifactType` is `artifactTypeOf`,
 * `FSLayers` are the digests of `layersOf`, `FindManifests` is `selectPlatform`; configurations and
 * DiffIDs are in config-file.ts. The raw manifest is always at hand as the bytes that were parsed.
 */
import {
  type Annotations,
  type Descriptor,
  formatPlatform,
  matchesPlatform,
  type Platform,
} from "./descriptor.ts";
import { algorithmOf, type Digest, digestOf, encodedOf, isDigest } from "./digest.ts";
import type { Manifest } from "./manifest.ts";

/** The blobs that a manifest names: its config first, then its layers in order. */
export function blobsOf(manifest: Manifest): Descriptor[] {
  if (manifest.kind === "image") return [manifest.content.config, ...manifest.content.layers];
  if (manifest.kind === "artifact") return manifest.content.blobs ?? [];
  return [];
}

/** The layers of an image in order, without its config; the blobs of an artifact. */
export function layersOf(manifest: Manifest): Descriptor[] {
  return manifest.kind === "image" ? manifest.content.layers : blobsOf(manifest);
}

/** The descriptor under which a manifest names a blob, as config or as layer. */
export function findBlob(manifest: Manifest, digest: Digest): Descriptor | undefined {
  return blobsOf(manifest).find((descriptor) => descriptor.digest === digest);
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

/**
 * The tag under which clients keep the referrers of `subject` where a registry has no referrers API
 * (distribution-spec, "Referrers Tag Schema"): `sha256-<64 hex digits>`.
 */
export function referrersTag(subject: Digest): string {
  const tag = `${algorithmOf(subject).slice(0, 32)}-${encodedOf(subject).slice(0, 64)}`;
  return tag.replace(/[^a-zA-Z0-9._-]/g, "-");
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

/**
 * The platform whose content suits this machine, in Go's names. Nobody publishes for macOS: what
 * runs in containers there is Linux.
 */
export function hostPlatform(): Platform {
  const architecture = process.arch === "x64" ? "amd64" : process.arch;
  const os = process.platform === "win32" ? "windows" : "linux";
  return { os, architecture };
}

/**
 * The content that a descriptor carries in itself, where it does, and its algorithm is known, and
 * size and digest match.
 */
export function embeddedData({ data, digest, size }: Descriptor): Uint8Array | undefined {
  if (data === undefined || !isDigest(digest)) return undefined;
  const bytes = Uint8Array.from(Buffer.from(data, "base64"));
  return bytes.byteLength === size && digestOf(bytes, algorithmOf(digest)) === digest
    ? bytes
    : undefined;
}
