/** Descriptors and platforms: image-spec, descriptor.md and image-index.md. */
import { type Static, Type } from "@sinclair/typebox";
import type { Digest } from "./digest.ts";

/**
 * Looser than RFC 6838, which the image spec asks for: people give their layers types of their own
 * (`text`, `text/plain; charset=utf-8`), every registry takes them, and nothing here depends on it.
 */
const MediaType = Type.String({ pattern: "^[ -~]{1,255}$" });

/** Empty is as good as missing: distribution-spec, "Listing Referrers". */
export const ArtifactType = Type.String({ pattern: "^[ -~]{0,255}$" });

/**
 * A digest in JSON: exact for sha256 and sha512, syntax alone for others, as whether an algorithm
 * is known is asked when the content is wanted.
 */
export const DigestText = Type.Unsafe<Digest>(
  Type.String({
    pattern:
      "^(?:sha256:[a-f0-9]{64}|sha512:[a-f0-9]{128}|(?!sha256:|sha512:)[a-z0-9]+(?:[+._-][a-z0-9]+)*:[a-zA-Z0-9=_-]+)$",
    maxLength: 1024,
  }),
);

/** Any key: the pattern of a plain record stops at a line feed, and lets through what follows it. */
export const Annotations = Type.Record(Type.String({ pattern: "^[^]*$" }), Type.String());
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
  artifactType: Type.Optional(ArtifactType),
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

/** What people type for Go's names. */
const architectureAliases: Readonly<Record<string, string>> = {
  x86_64: "amd64",
  "x86-64": "amd64",
  aarch64: "arm64",
  i386: "386",
};

/** Parses `os/architecture[/variant][:os.version]`; undefined when the text has another form. */
export function parsePlatform(text: string): Platform | undefined {
  const match = /^([a-z0-9_.-]+)\/([a-z0-9_.-]+)(?:\/([a-z0-9_.-]+))?(?::([a-z0-9_.-]+))?$/i.exec(
    text,
  );
  if (!match?.[1] || !match[2]) return undefined;
  const architecture = match[2].toLowerCase();
  return {
    os: match[1].toLowerCase(),
    architecture: architectureAliases[architecture] ?? architecture,
    ...(match[3] && { variant: match[3].toLowerCase() }),
    ...(match[4] && { "os.version": match[4] }),
  };
}

/** The variant that an architecture has when none is written: image-index.md, "Platform Variants". */
const defaultVariants: Readonly<Record<string, string>> = { amd64: "v1", arm: "v7", arm64: "v8" };

function variantOf({ architecture, variant }: Platform): string | undefined {
  return variant || defaultVariants[architecture];
}

/** Whether content for `offered` runs where `wanted` is asked for; what isn't asked for matches. */
export function matchesPlatform(offered: Platform | undefined, wanted: Platform): boolean {
  if (!offered) return false;
  const features = offered["os.features"] ?? [];
  return (
    offered.os === wanted.os &&
    offered.architecture === wanted.architecture &&
    (!wanted.variant || variantOf(offered) === variantOf(wanted)) &&
    (!wanted["os.version"] || offered["os.version"] === wanted["os.version"]) &&
    (wanted["os.features"] ?? []).every((feature) => features.includes(feature))
  );
}
