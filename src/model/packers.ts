import { dockerPacker, oldDockerPacker } from "./docker-pack.ts";
import { modelpackPacker } from "./modelpack-pack.ts";
import type { Packer, PackFormat } from "./packing.ts";

/** The formats that can be written. A further one is a further {@link Packer}, named here. */
const packers: Readonly<Record<PackFormat, Packer>> = {
  modelpack: modelpackPacker,
  docker: dockerPacker,
  "docker-v0.1": oldDockerPacker,
};

export function packerFor(format: PackFormat): Packer {
  return packers[format];
}
