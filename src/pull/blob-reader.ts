/** Reading parts of a blob, in the cache or at a registry. */
import { stat } from "node:fs/promises";
import type { Descriptor } from "../oci/descriptor.ts";
import { embeddedData } from "../oci/partial.ts";
import type { Repository } from "../oci/reference.ts";
import type { RegistryClient } from "../registry/client.ts";
import type { RangeReader } from "./range-reader.ts";

/** How many bytes may still be read of a registry, by whoever shares it. */
export interface Allowance {
  /** Bytes. */
  left: number;
}

/** It goes beyond an {@link Allowance}, or can't be read in parts: nothing is wrong with the content. */
export class OutOfReach extends Error {
  override readonly name = "OutOfReach";
}

/** @throws a system error when there is no such file, also later */
export async function storedBlobReader(path: string): Promise<RangeReader> {
  const { size } = await stat(path);
  const file = Bun.file(path);
  return {
    size,
    read: (start, end) => file.slice(Math.min(start, size), Math.min(end, size)).bytes(),
  };
}

/**
 * Parts of a blob at the registry itself: no digest is known of a part, so mirrors aren't asked. They
 * may tell what to fetch, but nothing of them may be kept as content.
 *
 * @param allowance @default what is asked for
 */
export function blobReader(
  client: RegistryClient,
  repository: Repository,
  blob: Descriptor,
  options: {
    readonly allowance?: Allowance | undefined;
    readonly signal?: AbortSignal | undefined;
  } = {},
): RangeReader {
  const { allowance, signal } = options;
  const { size } = blob;
  const embedded = embeddedData(blob);
  return {
    size,
    async read(from, to) {
      const end = Math.min(to, size);
      const start = Math.min(from, end);
      if (embedded) return embedded.subarray(start, end);
      if (allowance && end - start > allowance.left) throw new OutOfReach();
      if (allowance) allowance.left -= end - start;
      const part = { offset: start, end, verify: false, onlyRange: true };
      const stream = await client.openBlob(repository, blob, {
        ...part,
        ...(signal && { signal }),
      });
      return Bun.readableStreamToBytes(stream);
    },
  };
}
