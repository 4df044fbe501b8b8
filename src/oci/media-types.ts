/**
 * Media types of the OCI image spec and their Docker ancestors, and what each one is.
 * The counterpart of go-containerregistry's `v1/types`.
 */

export const OCI_DESCRIPTOR = "application/vnd.oci.descriptor.v1+json";
export const OCI_IMAGE_INDEX = "application/vnd.oci.image.index.v1+json";
export const OCI_IMAGE_MANIFEST = "application/vnd.oci.image.manifest.v1+json";
/** Deprecated before image-spec 1.1 was final, but registries hold some. */
export const OCI_ARTIFACT_MANIFEST = "application/vnd.oci.artifact.manifest.v1+json";
export const OCI_IMAGE_CONFIG = "application/vnd.oci.image.config.v1+json";
export const OCI_EMPTY = "application/vnd.oci.empty.v1+json";
export const OCI_LAYER = "application/vnd.oci.image.layer.v1.tar+gzip";
export const OCI_LAYER_ZSTD = "application/vnd.oci.image.layer.v1.tar+zstd";
export const OCI_UNCOMPRESSED_LAYER = "application/vnd.oci.image.layer.v1.tar";
export const OCI_RESTRICTED_LAYER = "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip";
export const OCI_RESTRICTED_LAYER_ZSTD =
  "application/vnd.oci.image.layer.nondistributable.v1.tar+zstd";
export const OCI_UNCOMPRESSED_RESTRICTED_LAYER =
  "application/vnd.oci.image.layer.nondistributable.v1.tar";

export const DOCKER_MANIFEST_SCHEMA1 = "application/vnd.docker.distribution.manifest.v1+json";
export const DOCKER_MANIFEST_SCHEMA1_SIGNED =
  "application/vnd.docker.distribution.manifest.v1+prettyjws";
export const DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json";
export const DOCKER_MANIFEST_LIST = "application/vnd.docker.distribution.manifest.list.v2+json";
export const DOCKER_IMAGE_CONFIG = "application/vnd.docker.container.image.v1+json";
export const DOCKER_PLUGIN_CONFIG = "application/vnd.docker.plugin.v1+json";
export const DOCKER_LAYER = "application/vnd.docker.image.rootfs.diff.tar.gzip";
export const DOCKER_UNCOMPRESSED_LAYER = "application/vnd.docker.image.rootfs.diff.tar";
export const DOCKER_FOREIGN_LAYER = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip";

/** The OCI twin of each Docker type. */
const ociEquivalents = new Map([
  [DOCKER_MANIFEST, OCI_IMAGE_MANIFEST],
  [DOCKER_MANIFEST_LIST, OCI_IMAGE_INDEX],
  [DOCKER_IMAGE_CONFIG, OCI_IMAGE_CONFIG],
  [DOCKER_LAYER, OCI_LAYER],
  [DOCKER_UNCOMPRESSED_LAYER, OCI_UNCOMPRESSED_LAYER],
  [DOCKER_FOREIGN_LAYER, OCI_RESTRICTED_LAYER],
]);

/** The OCI twin of a Docker media type; other types are returned as they are. */
export function ociEquivalent(mediaType: string): string {
  return ociEquivalents.get(mediaType) ?? mediaType;
}

/** What a client that takes every manifest says in `Accept`, the most wanted first. */
export const MANIFEST_TYPES: readonly string[] = [
  OCI_IMAGE_MANIFEST,
  OCI_IMAGE_INDEX,
  DOCKER_MANIFEST,
  DOCKER_MANIFEST_LIST,
  OCI_ARTIFACT_MANIFEST,
];

const images = new Set([OCI_IMAGE_MANIFEST, DOCKER_MANIFEST]);
const indexes = new Set([OCI_IMAGE_INDEX, DOCKER_MANIFEST_LIST]);
const configs = new Set([OCI_IMAGE_CONFIG, DOCKER_IMAGE_CONFIG]);
const schema1 = new Set([DOCKER_MANIFEST_SCHEMA1, DOCKER_MANIFEST_SCHEMA1_SIGNED]);
const restrictedLayers = new Set([
  OCI_RESTRICTED_LAYER,
  OCI_RESTRICTED_LAYER_ZSTD,
  OCI_UNCOMPRESSED_RESTRICTED_LAYER,
  DOCKER_FOREIGN_LAYER,
]);
const layers = new Set([
  OCI_LAYER,
  OCI_LAYER_ZSTD,
  OCI_UNCOMPRESSED_LAYER,
  DOCKER_LAYER,
  DOCKER_UNCOMPRESSED_LAYER,
  ...restrictedLayers,
]);

/** An image manifest, OCI or Docker schema 2. */
export const isImage = (mediaType: string): boolean => images.has(mediaType);
/** An image index or a Docker manifest list. */
export const isIndex = (mediaType: string): boolean => indexes.has(mediaType);
export const isSchema1 = (mediaType: string): boolean => schema1.has(mediaType);
/** The configuration of a container image (not of an artifact). */
export const isConfig = (mediaType: string): boolean => configs.has(mediaType);
/** A layer of a container image (not of an artifact). */
export const isLayer = (mediaType: string): boolean => layers.has(mediaType);
/** False for layers that their licence keeps out of registries. */
export const isDistributable = (mediaType: string): boolean => !restrictedLayers.has(mediaType);

/**
 * The type without its parameters, in lower case: registries SHOULD ignore parameters
 * (distribution-spec, "Pushing Manifests").
 */
export function baseMediaType(header: string): string {
  const semicolon = header.indexOf(";");
  return (semicolon < 0 ? header : header.slice(0, semicolon)).trim().toLowerCase();
}

const restrictedName = "[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]{0,126}";
const mediaTypePattern = new RegExp(`^${restrictedName}/${restrictedName}$`);

/** Whether the text is a media type without parameters: RFC 6838, 4.2. */
export function isMediaType(text: string): boolean {
  return mediaTypePattern.test(text);
}
