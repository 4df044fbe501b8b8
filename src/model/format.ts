import type { Descriptor } from "../oci/descriptor.ts";
import type { Manifest } from "../oci/manifest.ts";
import type { PlannedFile } from "./planned-file.ts";

export type Format = "docker" | "unknown";

/** What a format has to know: which manifests are its own, and what their layers become. */
export interface FormatReader {
  readonly format: Format;
  /** Whether `plan` wants the config blob. */
  readonly usesConfig: boolean;
  recognises(manifest: Manifest): boolean;
  plan(
    layers: readonly Descriptor[],
    config?: Uint8Array,
  ): {
    readonly files: readonly PlannedFile[];
    /** One line each, for people. */
    readonly warnings: readonly string[];
  };
}
