/**
 * Manifests, the counterpart of `Manifest` and `IndexManifest` in go-containerregistry's `v1`: OCI image manifests and indexes (image-spec, manifest.md and image-index.md), Docker
 * schema 2 manifests and lists, and the deprecated OCI artifact manifest. Unknown fields are
 * allowed everywhere and kept, because the bytes are kept.
 */
import { type Static, type TObject, type TSchema, Type } from "@sinclair/typebox";
import { TypeCompiler } from "@sinclair/typebox/compiler";
import { findDuplicateKey, isNestedDeeper } from "../lib/json.ts";
import { Annotations, ArtifactType, Descriptor, Platform } from "./descriptor.ts";
import {
  baseMediaType,
  DOCKER_MANIFEST_SCHEMA1,
  isImage,
  isIndex,
  isMediaType,
  isSchema1,
  OCI_ARTIFACT_MANIFEST,
  OCI_IMAGE_INDEX,
  OCI_IMAGE_MANIFEST,
} from "./media-types.ts";

const schemaVersion = Type.Literal(2);

export const ImageManifest = Type.Object({
  schemaVersion,
  mediaType: Type.Optional(Type.String()),
  artifactType: Type.Optional(ArtifactType),
  config: Descriptor,
  layers: Type.Array(Descriptor),
  subject: Type.Optional(Descriptor),
  annotations: Type.Optional(Annotations),
});
export type ImageManifest = Static<typeof ImageManifest>;

export const Index = Type.Object({
  schemaVersion,
  mediaType: Type.Optional(Type.String()),
  artifactType: Type.Optional(ArtifactType),
  manifests: Type.Array(Descriptor),
  subject: Type.Optional(Descriptor),
  annotations: Type.Optional(Annotations),
});
export type Index = Static<typeof Index>;

/** `application/vnd.oci.artifact.manifest.v1+json`, deprecated but still in registries. */
export const ArtifactManifest = Type.Object({
  mediaType: Type.Optional(Type.String()),
  artifactType: Type.Optional(ArtifactType),
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

/** Objects and lists within each other; manifests have about five, and what people add some more. */
const maxDepth = 1000;

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
  if (isImage(mediaType)) {
    json["layers"] = presentList(json["layers"]);
    settleManifest(json, ImageManifest);
    if ("manifests" in json) throw ambiguous(mediaType, "manifests");
    return { kind: "image", mediaType, content: check(checkImage, json) };
  }
  if (isIndex(mediaType)) {
    json["manifests"] = presentList(json["manifests"]);
    settleManifest(json, Index);
    if ("layers" in json || "config" in json) throw ambiguous(mediaType, "layers or config");
    return { kind: "index", mediaType, content: check(checkIndex, json) };
  }
  if (mediaType === OCI_ARTIFACT_MANIFEST) {
    settleManifest(json, ArtifactManifest);
    return { kind: "artifact", mediaType, content: check(checkArtifact, json) };
  }
  return { kind: "other", mediaType, content: json };
}

function parseJsonObject(bytes: Uint8Array): Record<string, unknown> {
  let text: string;
  let json: unknown;
  let isTooDeep: boolean;
  try {
    text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
    isTooDeep = isNestedDeeper(text, maxDepth);
    json = isTooDeep ? undefined : JSON.parse(text);
  } catch {
    throw new InvalidManifestError("it isn't JSON in UTF-8");
  }
  if (isTooDeep) throw new InvalidManifestError(`it is nested deeper than ${maxDepth} levels`);
  if (typeof json !== "object" || json === null || Array.isArray(json)) {
    throw new InvalidManifestError("it isn't a JSON object");
  }
  const duplicate = findDuplicateKey(text);
  if (duplicate !== undefined) {
    throw new InvalidManifestError(`an object in it has the key ${quote(duplicate)} twice`);
  }
  return json as Record<string, unknown>;
}

function mediaTypeOf(json: Record<string, unknown>, contentType: string | undefined): string {
  const field = json["mediaType"] ?? undefined;
  if (field !== undefined && typeof field !== "string") {
    throw new InvalidManifestError("its mediaType isn't a string");
  }
  const declared = contentType ? baseMediaType(contentType) : undefined;
  // Generic types come from clients and proxies that set none.
  const mediaType =
    declared && declared !== "application/json" && declared !== "application/octet-stream"
      ? declared
      : (field?.toLowerCase() ?? mediaTypeOfShape(json));
  if (field !== undefined && field.toLowerCase() !== mediaType) {
    throw new InvalidManifestError(
      `its mediaType ${quote(field)} isn't the Content-Type ${quote(mediaType)}`,
    );
  }
  if (!isMediaType(mediaType)) {
    throw new InvalidManifestError(`${quote(mediaType)} isn't a media type`);
  }
  const isReadable = isImage(mediaType) || isIndex(mediaType);
  if (isSchema1(mediaType) || (isReadable && json["schemaVersion"] === 1)) {
    throw new InvalidManifestError(
      "it is Docker schema 1, which isn't supported: push the image again as schema 2 or OCI",
    );
  }
  return mediaType;
}

function mediaTypeOfShape(json: Record<string, unknown>): string {
  if (Array.isArray(json["manifests"])) return OCI_IMAGE_INDEX;
  if (json["config"] && Array.isArray(json["layers"])) return OCI_IMAGE_MANIFEST;
  if (json["schemaVersion"] === 1) return DOCKER_MANIFEST_SCHEMA1;
  throw new InvalidManifestError(
    "it has no mediaType, and its shape is neither that of an image manifest nor of an index",
  );
}

/** Content that is both is read differently by different clients: CVE-2021-41190. */
function ambiguous(mediaType: string, field: string): InvalidManifestError {
  return new InvalidManifestError(`a ${mediaType} must not have ${field}`);
}

/** Go writes an empty list as null when its field isn't optional. */
function presentList(list: unknown): unknown {
  return list === null ? [] : list;
}

/** Settles what JSON readers disagree about, in a manifest and in the descriptors that it holds. */
function settleManifest(json: Record<string, unknown>, schema: TObject): void {
  settle(json, manifestFields);
  for (const field of Object.keys(schema.properties)) {
    if (field === "annotations") continue;
    const value = json[field];
    for (const descriptor of Array.isArray(value) ? value : [value]) {
      if (!isObject(descriptor)) continue;
      settle(descriptor, descriptorFields);
      if (isObject(descriptor["platform"])) settle(descriptor["platform"], platformFields);
    }
  }
}

/** Field names in lower case, and as they are written. */
type Fields = ReadonlyMap<string, string>;

const fieldsOf = (...schemas: TObject[]): Fields =>
  new Map(
    schemas.flatMap((schema) => Object.keys(schema.properties).map((key) => [foldCase(key), key])),
  );
const manifestFields = fieldsOf(ImageManifest, Index, ArtifactManifest);
const descriptorFields = fieldsOf(Descriptor);
const platformFields = fieldsOf(Platform);

/**
 * Drops fields that are null, which Go's decoder takes for absent, and refuses those that it takes
 * for another, because it ignores case: `Layers` beside `layers` is a second list of layers.
 */
function settle(object: Record<string, unknown>, fields: Fields): void {
  for (const key of Object.keys(object)) {
    const field = fields.get(foldCase(key));
    if (field !== undefined && field !== key) {
      throw new InvalidManifestError(`the field ${quote(key)} must be written ${quote(field)}`);
    }
    if (object[key] === null) delete object[key];
  }
}

/** Folds as Go does, for which `ſ` is an `s` and the Kelvin sign a `k`. */
function foldCase(text: string): string {
  return text.toUpperCase().toLowerCase();
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** A value of the sender's, for a message of one line. */
function quote(text: string): string {
  return JSON.stringify(text.slice(0, 200));
}

function check<T extends TSchema>(
  checker: ReturnType<typeof TypeCompiler.Compile<T>>,
  json: unknown,
): Static<T> {
  if (checker.Check(json)) return json;
  const error = checker.Errors(json).First();
  throw new InvalidManifestError(
    `${quote(error?.path || "/")}: ${error?.message ?? "unexpected"}`.slice(0, 400),
  );
}
