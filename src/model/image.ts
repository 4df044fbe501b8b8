/**
 * Container images that carry a model in `/models`: KServe's ModelCar and the images of RamaLama.
 * The model is what the layers leave there when they are applied one over the other.
 */

import type { Manifest } from "../oci/manifest.ts";
import { isConfig, isLayer } from "../oci/media-types.ts";
import { diffIdsOf, expectDiffId } from "./diff-ids.ts";
import type { FormatReader, ModelDescription } from "./format.ts";
import { asObject, asText, parseObject, present } from "./json.ts";
import { compressionOf, type PlannedFile } from "./planned-file.ts";

const LICENSES = "org.opencontainers.image.licenses";
const TITLE = "org.opencontainers.image.title";

export const image: FormatReader = {
  format: "image",
  usesConfig: true,
  recognises(manifest: Manifest): boolean {
    if (manifest.kind !== "image") return false;
    const { config, layers } = manifest.content;
    return isConfig(config.mediaType) && layers.some(({ mediaType }) => isLayer(mediaType));
  },
  describe(config: Uint8Array): ModelDescription {
    const json = parseObject(config);
    const labels = asObject(asObject(json["config"])["Labels"]);
    const licenses = asText(labels[LICENSES]);
    return present<ModelDescription>({
      created: asText(json["created"]),
      name: asText(labels[TITLE]),
      licenses: licenses === undefined ? undefined : [licenses],
    });
  },
  plan({ layers, config }) {
    const diffIds = diffIdsOf(layers, asObject(parseObject(config)["rootfs"])["diff_ids"]);
    const files: PlannedFile[] = [];
    const warnings: string[] = [];
    for (const [index, descriptor] of layers.entries()) {
      const { mediaType, digest } = descriptor;
      if (!isLayer(mediaType)) {
        warnings.push(`left out the layer ${digest}: ${mediaType} is no layer of an image`);
        continue;
      }
      const compression = compressionOf(mediaType);
      files.push({
        descriptor,
        target: { kind: "image-layer", compression },
        ...expectDiffId(descriptor, compression, diffIds[index]),
      });
    }
    return { files, warnings };
  },
};
