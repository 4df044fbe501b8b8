/** Descriptors and platforms: image-spec, descriptor.md and image-index.md. */
import { type Static, Type } from "@sinclair/typebox";
import type { Digest } from "./digest.ts";
import { mediaTypePattern } from "./media-types.ts";

const MediaType = Type.String({ pattern: mediaTypePattern });

/** Syntax alone: whether the algorithm is known is asked when the content is wanted. */
const DigestText = Type.Unsafe<Digest>(
  Type.String({ pattern: "^[a-z0-9]+(?:[+._-][a-z0-9]+)*:[a-zA-Z0-9=_-]+$", maxLength: 1024 }),
);

export const Annotations = Type.Record(Type.String(), Type.String());
export type Annotations = Static<typeof Annotations>;

export const Platform = Type.Object({
  architecture: Type.String(),
  os: Type.String(),
  "os.version": Type.Optional(Type.String()),
  "os.features": Type.Optional(Type.Array(Type.String())),
  variant: Type.Optional(Type.String()),
});
export type Platform = Static<typeof Platform>;

export const Descriptor = Type.Object({
  mediaType: MediaType,
  digest: DigestText,
  /** Bytes. */
  size: Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER }),
  urls: Type.Optional(Type.Array(Type.String())),
  annotations: Type.Optional(Annotations),
  /** The content itself, base64. */
  data: Type.Optional(Type.String()),
  artifactType: Type.Optional(MediaType),
  platform: Type.Optional(Platform),
});
export type Descriptor = Static<typeof Descriptor>;

/** The descriptor of `{}`, which artifacts without configuration name as theirs. */
export const EMPTY_DESCRIPTOR: Descriptor = {
  mediaType: "application/vnd.oci.empty.v1+json",
  digest: "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a" as Digest,
  size: 2,
  data: "e30=",
};

/** `linux/arm64/v8`; a version follows after a colon, as in `windows/amd64:10.0.20348`. */
export function formatPlatform(platform: Platform): string {
  const variant = platform.variant ? `/${platform.variant}` : "";
  const version = platform["os.version"] ? `:${platform["os.version"]}` : "";
  return `${platform.os}/${platform.architecture}${variant}${version}`;
}

/** Parses `os/architecture[/variant][:os.version]`; undefined when the text has another form. */
export function parsePlatform(text: string): Platform | undefined {
  const match = /^([a-z0-9_.-]+)\/([a-z0-9_.-]+)(?:\/([a-z0-9_.-]+))?(?::([a-zA-Z0-9_.-]+))?$/.exec(
    text,
  );
  if (!match?.[1] || !match[2]) return undefined;
  return {
    os: match[1],
    architecture: match[2],
    ...(match[3] && { variant: match[3] }),
    ...(match[4] && { "os.version": match[4] }),
  };
}

/** Whether content for `offered` runs where `wanted` is asked for. */
export function matchesPlatform(offered: Platform | undefined, wanted: Platform): boolean {
  if (!offered) return false;
  return (
    offered.os === wanted.os &&
    offered.architecture === wanted.architecture &&
    (wanted.variant === undefined || offered.variant === wanted.variant) &&
    (wanted["os.version"] === undefined || offered["os.version"] === wanted["os.version"])
  );
}
