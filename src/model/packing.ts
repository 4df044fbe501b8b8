/** What a format has to know to be written: which file becomes which layer, and the config. */
import type { Annotations } from "../oci/descriptor.ts";
import type { Digest } from "../oci/digest.ts";
import type { ModelFacts } from "./facts.ts";
import type { ModelSurvey, WeightFormat } from "./model-files.ts";

export type PackFormat = "modelpack" | "docker" | "docker-v0.1";

/** A layer before it has a digest. */
export type PackedLayer =
  /** The file as it is. */
  | { readonly kind: "file"; readonly mediaType: string; readonly path: string }
  /** A tar of these files, sorted. */
  | { readonly kind: "archive"; readonly mediaType: string; readonly paths: readonly string[] };

export interface Packing {
  readonly layers: readonly PackedLayer[];
  /** What the format has no place for. */
  readonly leftOut: readonly string[];
}

/** What a config says beside the facts. */
export interface Packed {
  readonly format: WeightFormat | undefined;
  readonly facts: ModelFacts;
  /** Of the layers in order, which aren't compressed. */
  readonly layers: readonly Digest[];
}

export interface Packer {
  readonly format: PackFormat;
  /** Of the manifest. */
  readonly artifactType?: string;
  /** The media type of the config. */
  readonly configType: string;
  /** @throws {Failure} `usage` when the format has no place for the weights */
  pack(model: ModelSurvey): Packing;
  /** JSON without a time, so that the same model makes the same artifact everywhere. */
  config(packed: Packed): string;
  /** Of the layer of a file. */
  annotations(path: string): Annotations;
}
