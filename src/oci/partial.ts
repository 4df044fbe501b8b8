/**
 * Answers that need only a part of an image: what a manifest names, its entry in a referrers list,
 * which platform's manifest to take. The counterpart of go-containerregistry's `v1/partial`:
 * `Descriptor` is `describe`, `BlobDescriptor` is `findBlob`, `ArtifactType` is `artifactTypeOf`,
 * `FSLayers` are the digests of `layersOf`, `FindManifests` is `offerFor`; configurations and
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
import { isIndex } from "./media-types.ts";

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

/** Entries of an index that a message lists, and characters of what one says of itself. */
const MAX_LISTED = 20;
const MAX_WORD = 80;

export class NoSuchPlatformError extends Error {
  override readonly name = "NoSuchPlatformError";
  constructor(
    readonly wanted: Platform,
    /** What there is to choose from. */
    readonly offered: readonly Descriptor[],
  ) {
    super(
      `no manifest for platform ${formatPlatform(wanted)} in the index, which has ${listEntries(offered)}`,
    );
  }
}

/** Platforms, and of what has none the artifact type and digest. */
function listEntries(entries: readonly Descriptor[]): string {
  const words = entries.map(({ platform, artifactType, digest }) => {
    if (platform) return formatPlatform(platform).slice(0, MAX_WORD);
    return artifactType ? `${artifactType.slice(0, MAX_WORD)} (${digest})` : digest;
  });
  const names = [...new Set(words)];
  const listed = names.slice(0, MAX_LISTED).join(", ");
  const others = names.length - MAX_LISTED;
  return others > 0 ? `${listed} and ${others} more` : listed || "none";
}

/** An attestation that BuildKit stores beside the images, not content to run. */
function isAttestation(descriptor: Descriptor): boolean {
  return (
    descriptor.platform?.os === "unknown" ||
    descriptor.annotations?.["vnd.docker.reference.type"] === "attestation-manifest"
  );
}

/** What an index has for a platform. */
export interface PlatformOffer {
  /** The first entry that is for it. */
  readonly match: Descriptor | undefined;
  /** Indexes within the index that don't say for what they are: it may be in one of them. */
  readonly indexes: readonly Descriptor[];
  /**
   * What suits when there is no match: the only manifest without a platform, as models are
   * published; where the platform is a guess also the only entry, whatever it says.
   */
  readonly fallback: Descriptor | undefined;
  /** All entries, attestations aside. */
  readonly offered: readonly Descriptor[];
}

/** @param isGuess nobody asked for the platform by name: it is this machine's */
export function offerFor(
  manifests: readonly Descriptor[],
  wanted: Platform,
  isGuess: boolean,
): PlatformOffer {
  const offered = manifests.filter((descriptor) => !isAttestation(descriptor));
  const general = offered.filter(({ platform }) => !platform);
  const plain = general.filter(({ mediaType }) => !isIndex(mediaType));
  return {
    match: offered.find(({ platform }) => matchesPlatform(platform, wanted)),
    indexes: general.filter(({ mediaType }) => isIndex(mediaType)),
    fallback: onlyOf(plain) ?? (isGuess ? onlyOf(offered) : undefined),
    offered,
  };
}

function onlyOf<T>(items: readonly T[]): T | undefined {
  return items.length === 1 ? items[0] : undefined;
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
