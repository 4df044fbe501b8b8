/**
 * Writing CNCF ModelPack (model-spec v0.0.7): a layer is one file as it is, because that is what all
 * of its readers take; some skip archives, some can't decompress.
 */
import type { ModelFacts } from "./facts.ts";
import type { FileKind } from "./model-files.ts";
import { MODELPACK_CONFIG, MODELPACK_MANIFEST } from "./modelpack.ts";
import type { Packed, Packer } from "./packing.ts";

export const MODELPACK_WEIGHTS = "application/vnd.cncf.model.weight.v1.raw";
export const MODELPACK_WEIGHT_CONFIG = "application/vnd.cncf.model.weight.config.v1.raw";
export const MODELPACK_CODE = "application/vnd.cncf.model.code.v1.raw";
export const MODELPACK_DOCUMENT = "application/vnd.cncf.model.doc.v1.raw";

const mediaTypes: Readonly<Record<FileKind, string>> = {
  weights: MODELPACK_WEIGHTS,
  projector: MODELPACK_WEIGHTS,
  config: MODELPACK_WEIGHT_CONFIG,
  template: MODELPACK_WEIGHT_CONFIG,
  code: MODELPACK_CODE,
  document: MODELPACK_DOCUMENT,
  license: MODELPACK_DOCUMENT,
};

export const modelpackPacker: Packer = {
  format: "modelpack",
  artifactType: MODELPACK_MANIFEST,
  configType: MODELPACK_CONFIG,
  pack: ({ files, copies }) => ({
    layers: files.map(({ path, kind }) => ({ kind: "file", mediaType: mediaTypes[kind], path })),
    leftOut: copies,
  }),
  config: modelpackConfig,
  // Without owner, mode and time of the file, which differ from machine to machine. The title is for
  // clients that know nothing of models.
  annotations: (path) => ({
    "org.cncf.model.filepath": path,
    "org.opencontainers.image.title": path,
  }),
};

/** The specification's JSON schema allows no other keys. */
function modelpackConfig({ format, facts, layers }: Packed): string {
  const { family, name, licenses = [], created } = facts;
  return JSON.stringify({
    descriptor: {
      ...(created && { createdAt: created }),
      ...(family && { family }),
      ...(name && { name }),
      ...(licenses.length > 0 && { licenses }),
    },
    config: { ...(format && { format }), ...technical(facts) },
    modelfs: { type: "layers", diffIds: layers },
  });
}

function technical({ architecture, parameters, precision, method }: ModelFacts) {
  return {
    ...(architecture && { architecture }),
    ...(parameters > 0 && { paramSize: formatParameterSize(parameters) }),
    ...(precision && { precision }),
    ...(method && { quantization: method }),
  };
}

/** `22.7M`, `8B`: one digit after the point at most, and always a unit. */
export function formatParameterSize(count: number): string {
  const units = ["K", "M", "B", "T"];
  let unit = 0;
  let value = count / 1000;
  // What would be rounded to 1000 goes to the next unit.
  while (value >= 999.95 && unit < units.length - 1) {
    value /= 1000;
    unit++;
  }
  return `${value.toFixed(1).replace(/\.0$/, "")}${units[unit]}`;
}
