/**
 * What ORAS pushes: files by their titles, and directories as archives whose entries begin with the
 * title. Artifacts of version 1.1, of 1.0, and the deprecated artifact manifests of 1.0 betas.
 */
import type { Descriptor } from "../oci/descriptor.ts";
import type { Manifest } from "../oci/manifest.ts";
import { OCI_LAYER } from "../oci/media-types.ts";
import { layersOf } from "../oci/partial.ts";
import { asDigest, expectDiffId } from "./diff-ids.ts";
import type { FormatReader } from "./format.ts";
import { checkedFilePath, checkedPath } from "./path.ts";
import { compressionOf, type PlannedFile } from "./planned-file.ts";

const TITLE = "org.opencontainers.image.title";
const UNPACK = "io.deis.oras.content.unpack";
/** The digest of the archive when it isn't compressed. */
const CONTENT_DIGEST = "io.deis.oras.content.digest";

export const oras: FormatReader = {
  format: "oras",
  usesConfig: false,
  recognises(manifest: Manifest): boolean {
    const layers = layersOf(manifest);
    return manifest.kind === "artifact"
      ? layers.some(isTitled)
      : layers.length > 0 && layers.every(isTitled);
  },
  plan({ manifest, layers }) {
    const config = manifest.kind === "image" ? [manifest.content.config] : [];
    const untitled = layers.filter((layer) => !isTitled(layer));
    return {
      files: [...config.filter(isTitled), ...layers.filter(isTitled)].map(planned),
      warnings: untitled.map(({ digest }) => `left out the layer ${digest}: it has no title`),
    };
  },
};

function isTitled({ annotations }: Descriptor): boolean {
  return (annotations?.[TITLE] ?? "") !== "";
}

/** Files have the type of a plain tar layer by default, so that this says nothing. */
function isDirectory({ annotations = {}, mediaType }: Descriptor): boolean {
  const unpack = annotations[UNPACK];
  if (unpack !== undefined) return unpack === "true";
  // The Python client says it by the type alone, and an archive that is a file has its suffix.
  return mediaType === OCI_LAYER && !/\.(?:tar|tgz|gz)$/i.test(annotations[TITLE] ?? "");
}

function planned(descriptor: Descriptor): PlannedFile {
  const { annotations = {}, digest, mediaType } = descriptor;
  const title = annotations[TITLE] ?? "";
  const source = `the layer ${digest}`;
  if (!isDirectory(descriptor)) {
    return { descriptor, target: { kind: "file", path: checkedFilePath(title, source) } };
  }
  const compression = compressionOf(mediaType) === "zstd" ? "zstd" : "gzip";
  const within = checkedPath(title, source);
  return {
    descriptor,
    target: { kind: "archive", role: "content", compression, ...(within && { within }) },
    ...expectDiffId(descriptor, compression, asDigest(annotations[CONTENT_DIGEST])),
  };
}
