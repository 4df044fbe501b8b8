/** What an archive holds, once it is unpacked. */
import type { Content } from "./content-files.ts";

/** A file of a layer. */
export interface FileEntry extends Content {
  readonly kind: "file";
  /** Relative to the archive's root, checked. */
  readonly path: string;
}

/**
 * What a layer of a container image says about a path; the model's are those in `models/`. Paths are
 * relative to the image's root, and checked; where links lead isn't.
 */
export type ImageEntry =
  | FileEntry
  | { readonly kind: "directory"; readonly path: string }
  | { readonly kind: "symlink" | "hardlink"; readonly path: string; readonly target: string }
  /** What the layers below have at this path is gone. */
  | { readonly kind: "whiteout"; readonly path: string }
  /** What the layers below have in this directory is gone. */
  | { readonly kind: "opaque"; readonly path: string };

/** An archive that was unpacked. One that isn't an image's layer has files alone. */
export interface UnpackedLayer {
  readonly entries: readonly ImageEntry[];
  /** Where the contents lie, each under its number. */
  readonly directory: string;
  /** What the archive is, for messages: `the layer sha256:…`. */
  readonly source: string;
}
