import type { Descriptor } from "../oci/descriptor.ts";
import type { Manifest } from "../oci/manifest.ts";
import type { PlannedFile } from "./planned-file.ts";

export type Format = "docker" | "modelpack" | "kitops" | "ollama" | "oras" | "image" | "unknown";

/** What a format has to know: which manifests are its own, and what their layers become. */
export interface FormatReader {
  readonly format: Format;
  /** Whether `plan` wants the config blob. */
  readonly usesConfig: boolean;
  /** Whether the manifest says itself that it is of this format, by its artifact or config type. */
  declares?(manifest: Manifest): boolean;
  /** Whether its layers look like it. Asked when the manifest declares no format. */
  recognises(manifest: Manifest): boolean;
  /** @throws {Failure} `content`, naming the layer and what is wrong with it */
  plan(artifact: ArtifactContent): FormatPlan;
  /** Reads the fields that are there and of the right type; a config that isn't JSON has none. */
  describe?(config: Uint8Array): ModelDescription;
}

export interface ArtifactContent {
  readonly manifest: Manifest;
  /** Their digests can be verified. */
  readonly layers: readonly Descriptor[];
  /** The content of the config blob, where the format uses it. */
  readonly config?: Uint8Array | undefined;
}

export interface FormatPlan {
  readonly files: readonly PlannedFile[];
  /** One line each, for people. */
  readonly warnings: readonly string[];
  /** The reference of another artifact of the format, whose model is also that of this one. */
  readonly parent?: string;
}

/** What the packer wrote about the model. */
export interface ModelDescription {
  readonly format?: string;
  readonly architecture?: string;
  readonly parameters?: string;
  readonly quantization?: string;
  readonly size?: string;
  /** Tokens. */
  readonly contextSize?: number;
  /** RFC 3339. */
  readonly created?: string;
  readonly name?: string;
  /** Of the numbers in the weights: `bfloat16`. */
  readonly precision?: string;
  /** SPDX expressions, or whatever the packer wrote. */
  readonly licenses?: readonly string[];
}
