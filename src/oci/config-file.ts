/**
 * The configuration of a container image (image-spec, config.md), as far as people ask for it, and
 * what it says about layers. The counterpart of go-containerregistry's `v1.ConfigFile`.
 */
import { type Static, Type } from "@sinclair/typebox";
import { TypeCompiler } from "@sinclair/typebox/compiler";
import { Annotations, DigestText, type Platform } from "./descriptor.ts";
import type { Digest } from "./digest.ts";
import type { ImageManifest } from "./manifest.ts";

const Strings = Type.Array(Type.String());

export const RootFS = Type.Object({
  type: Type.Optional(Type.String()),
  /** The digest of each layer when it isn't compressed, in the order of the layers. */
  diff_ids: Type.Optional(Type.Array(DigestText)),
});
export type RootFS = Static<typeof RootFS>;

export const ConfigFile = Type.Object({
  architecture: Type.Optional(Type.String()),
  os: Type.Optional(Type.String()),
  variant: Type.Optional(Type.String()),
  "os.version": Type.Optional(Type.String()),
  "os.features": Type.Optional(Strings),
  created: Type.Optional(Type.String()),
  author: Type.Optional(Type.String()),
  config: Type.Optional(
    Type.Object({
      User: Type.Optional(Type.String()),
      Env: Type.Optional(Strings),
      Entrypoint: Type.Optional(Strings),
      Cmd: Type.Optional(Strings),
      WorkingDir: Type.Optional(Type.String()),
      Labels: Type.Optional(Annotations),
    }),
  ),
  rootfs: Type.Optional(RootFS),
  history: Type.Optional(
    Type.Array(
      Type.Object({
        created: Type.Optional(Type.String()),
        created_by: Type.Optional(Type.String()),
        author: Type.Optional(Type.String()),
        comment: Type.Optional(Type.String()),
        empty_layer: Type.Optional(Type.Boolean()),
      }),
    ),
  ),
});
export type ConfigFile = Static<typeof ConfigFile>;

const checkConfigFile = TypeCompiler.Compile(ConfigFile);

/**
 * Reads an image's configuration; undefined when the bytes aren't one. Builders write null for what
 * is empty: it reads as absent.
 */
export function parseConfigFile(bytes: Uint8Array): ConfigFile | undefined {
  try {
    const text = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
    const json: unknown = JSON.parse(text, (_, value) => (value === null ? undefined : value));
    return checkConfigFile.Check(json) ? json : undefined;
  } catch {
    return undefined;
  }
}

/** The platform that a configuration says its image is for; undefined when it doesn't. */
export function platformOf(config: ConfigFile): Platform | undefined {
  if (!config.os || !config.architecture) return undefined;
  return {
    os: config.os,
    architecture: config.architecture,
    ...(config.variant && { variant: config.variant }),
    ...(config["os.version"] && { "os.version": config["os.version"] }),
    ...(config["os.features"] && { "os.features": config["os.features"] }),
  };
}

/**
 * The DiffID of the layer with this digest (`BlobToDiffID` in `v1/partial`); undefined when there is
 * no such layer, or when the configuration doesn't list as many DiffIDs as there are layers.
 */
export function diffIdOf(
  manifest: ImageManifest,
  rootfs: RootFS,
  digest: Digest,
): Digest | undefined {
  const diffIds = rootfs.diff_ids ?? [];
  if (diffIds.length !== manifest.layers.length) return undefined;
  return diffIds[manifest.layers.findIndex((layer) => layer.digest === digest)];
}
