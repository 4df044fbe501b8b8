/** An artifact of a format that nobody here knows: its layers as they are, by title where they have one. */
import { encodedOf } from "../oci/digest.ts";
import type { FormatReader } from "./format.ts";
import { annotatedPath, type PlannedFile } from "./planned-file.ts";

export const generic: FormatReader = {
  format: "unknown",
  usesConfig: false,
  recognises: () => true,
  plan({ layers }) {
    const files = layers.map((descriptor, index): PlannedFile => {
      const number = String(index).padStart(4, "0");
      const fallback = `layer-${number}-${encodedOf(descriptor.digest).slice(0, 12)}`;
      return { descriptor, target: { kind: "file", path: annotatedPath(descriptor) ?? fallback } };
    });
    return {
      files,
      warnings: ["the artifact is of an unknown format: its layers are written as they are"],
    };
  },
};
