/**
 * Manifests: OCI image manifests and indexes (image-spec, manifest.md and image-index.md), Docker
 * schema 2 manifests and lists, and the deprecated OCI artifact manifest. Unknown fields are
 * allowed everywhere and kept, because the bytes are kept.
 */
import { type Static, type TSchema, Type } from "@sinclair/typebox";
import { TypeCompiler } from "@sinclair/typebox/compiler";
import { Annotations, Descriptor } from "./descriptor.ts";
import {
  baseMediaType,
  DOCKER_MANIFEST,
  DOCKER_MANIFEST_LIST,
  isImage,
  isIndex,
  isSchema1,
  mediaTypePattern,
  OCI_ARTIFACT_MANIFEST,
  OCI_IMAGE_INDEX,
  OCI_IMAGE_MANIFEST,
} from "./media-types.ts";

const MediaType = Type.String({ pattern: mediaTypePattern });
const schemaVersion = Type.Literal(2);

export const ImageManifest = Type.Object({
  schemaVersion,
  mediaType: Type.Optional(MediaType),
  artifactType: Type.Optional(MediaType),
  config: Descriptor,
  layers: Type.Array(Descriptor),
  subject: Type.Optional(Descriptor),
  annotations: Type.Optional(Annotations),
});
export type ImageManifest = Static<typeof ImageManifest>;

export const Index = Type.Object({
  schemaVersion,
  mediaType: Type.Optional(MediaType),
  artifactType: Type.Optional(MediaType),
  manifests: Type.Array(Descriptor),
  subject: Type.Optional(Descriptor),
  annotations: Type.Optional(Annotations),
});
export type Index = Static<typeof Index>;

/** `application/vnd.oci.artifact.manifest.v1+json`, deprecated but still in registries. */
export const ArtifactManifest = Type.Object({
  mediaType: Type.Optional(MediaType),
  artifactType: Type.Optional(MediaType),
  blobs: Type.Optional(Type.Array(Descriptor)),
  subject: Type.Optional(Descriptor),
  annotations: Type.Optional(Annotations),
});
export type ArtifactManifest = Static<typeof ArtifactManifest>;

/** A manifest, and what kind it is. `other` has a media type that nobody here can read. */
export type Manifest =
  | { readonly kind: "image"; readonly mediaType: string; readonly content: ImageManifest }
  | { readonly kind: "index"; readonly mediaType: string; readonly content: Index }
  | { readonly kind: "artifact"; readonly mediaType: string; readonly content: ArtifactManifest }
  | { readonly kind: "other"; readonly mediaType: string; readonly content: object };

export class InvalidManifestError extends Error {
  override readonly name = "InvalidManifestError";
  constructor(reason: string) {
    super(`invalid manifest: ${reason}`);
  }
}

/** What every registry accepts at least, in bytes (distribution-spec, "Pushing Manifests"). */
export const MAX_MANIFEST_SIZE = 4 * 1024 * 1024;

const checkImage = TypeCompiler.Compile(ImageManifest);
const checkIndex = TypeCompiler.Compile(Index);
const checkArtifact = TypeCompiler.Compile(ArtifactManifest);

/**
 * Reads a manifest. `contentType` is what the sender said; a `mediaType` field must agree with it,
 * and without either the shape decides.
 *
 * @throws {InvalidManifestError}
 */
export function parseManifest(bytes: Uint8Array, contentType?: string): Manifest {
  const json = parseJsonObject(bytes);
  const mediaType = mediaTypeOf(json, contentType);
  if (isSchema1(mediaType)) {
    throw new InvalidManifestError(
      `${mediaType} is Docker schema 1, which isn't supported: push the image again as schema 2 or OCI`,
    );
  }
  if (isImage(mediaType)) {
    if ("manifests" in json) throw ambiguous(mediaType, "manifests");
    return { kind: "image", mediaType, content: check(checkImage, json) };
  }
  if (isIndex(mediaType)) {
    if ("layers" in json || "config" in json) throw ambiguous(mediaType, "layers or config");
    return { kind: "index", mediaType, content: check(checkIndex, json) };
  }
  if (mediaType === OCI_ARTIFACT_MANIFEST) {
    return { kind: "artifact", mediaType, content: check(checkArtifact, json) };
  }
  return { kind: "other", mediaType, content: json };
}

function parseJsonObject(bytes: Uint8Array): Record<string, unknown> {
  let json: unknown;
  try {
    json = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch {
    throw new InvalidManifestError("it isn't JSON in UTF-8");
  }
  if (typeof json !== "object" || json === null || Array.isArray(json)) {
    throw new InvalidManifestError("it isn't a JSON object");
  }
  return json as Record<string, unknown>;
}

function mediaTypeOf(json: Record<string, unknown>, contentType: string | undefined): string {
  const { mediaType } = json;
  if (mediaType !== undefined && typeof mediaType !== "string") {
    throw new InvalidManifestError("its mediaType isn't a string");
  }
  const declared = contentType ? baseMediaType(contentType) : undefined;
  // Generic types come from clients and proxies that set none.
  if (declared && declared !== "application/json" && declared !== "application/octet-stream") {
    if (mediaType !== undefined && mediaType !== declared) {
      throw new InvalidManifestError(
        `its mediaType ${JSON.stringify(mediaType)} isn't the Content-Type ${JSON.stringify(declared)}`,
      );
    }
    return declared;
  }
  if (mediaType !== undefined) return mediaType;
  if (Array.isArray(json["manifests"])) return OCI_IMAGE_INDEX;
  if (json["config"] && Array.isArray(json["layers"])) return OCI_IMAGE_MANIFEST;
  throw new InvalidManifestError(
    "it has no mediaType, and its shape is neither that of an image manifest nor of an index",
  );
}

/** Content that is both is read differently by different clients: CVE-2021-41190. */
function ambiguous(mediaType: string, field: string): InvalidManifestError {
  return new InvalidManifestError(`a ${mediaType} must not have ${field}`);
}

function check<T extends TSchema>(
  checker: ReturnType<typeof TypeCompiler.Compile<T>>,
  json: unknown,
): Static<T> {
  if (checker.Check(json)) return json;
  const error = checker.Errors(json).First();
  throw new InvalidManifestError(
    `${error?.path || "/"}: ${error?.message ?? "unexpected"}`.slice(0, 300),
  );
}

/** The OCI twin of a Docker media type; other types are returned as they are. */
export function ociEquivalent(mediaType: string): string {
  if (mediaType === DOCKER_MANIFEST) return OCI_IMAGE_MANIFEST;
  if (mediaType === DOCKER_MANIFEST_LIST) return OCI_IMAGE_INDEX;
  return mediaType;
}
