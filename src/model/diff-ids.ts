/** What a config says that each layer is once it is decompressed. */
import { Failure } from "../lib/failure.ts";
import type { Descriptor } from "../oci/descriptor.ts";
import { algorithmOf, type Digest, isDigest } from "../oci/digest.ts";
import type { Compression } from "./planned-file.ts";

/**
 * The DiffID of each layer, undefined where none is known: a list that hasn't as many entries as
 * there are layers says nothing about any of them.
 */
export function diffIdsOf(layers: readonly Descriptor[], list: unknown): (Digest | undefined)[] {
  const listed: readonly unknown[] =
    Array.isArray(list) && list.length === layers.length ? list : [];
  return layers.map((_, index) => asDigest(listed[index]));
}

/** The digest that a text is; undefined when it can't be verified. */
export function asDigest(value: unknown): Digest | undefined {
  return typeof value === "string" && isDigest(value) ? value : undefined;
}

/**
 * The DiffID to check when a layer is unpacked, as a field to spread. That of a layer which isn't
 * compressed is its digest, so that one is checked here.
 *
 * @throws {Failure} `content` when it is another
 */
export function expectDiffId(
  layer: Descriptor,
  compression: Compression,
  diffId: Digest | undefined,
): { readonly diffId?: Digest } {
  if (diffId === undefined) return {};
  // Some packers list the digests of layers, compressed or not.
  if (compression !== "none") return diffId === layer.digest ? {} : { diffId };
  if (algorithmOf(diffId) === algorithmOf(layer.digest) && diffId !== layer.digest) {
    throw new Failure(
      "content",
      `the config of the artifact says that the layer ${layer.digest} is ${diffId}, and it isn't compressed`,
    );
  }
  return {};
}
