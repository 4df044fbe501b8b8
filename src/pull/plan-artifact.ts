/** What an artifact means as a model. */
import { configFor, type Plan, plan } from "../model/plan.ts";
import type { Descriptor } from "../oci/descriptor.ts";
import type { Manifest } from "../oci/manifest.ts";
import { embeddedData } from "../oci/partial.ts";
import type { Repository } from "../oci/reference.ts";
import type { RegistryClient } from "../registry/client.ts";

export interface PlannedArtifact {
  readonly plan: Plan;
  /** The content of its config blob, where the format uses it. */
  readonly config: Uint8Array | undefined;
}

/**
 * @param readBlob reads the config, where the manifest doesn't hold it itself
 * @param withCopies whether a second copy of the weights in Mistral's format is wanted too
 * @throws {Failure} `content` for a manifest that can't be pulled; what `readBlob` throws
 */
export async function planArtifact(
  manifest: Manifest,
  readBlob: (blob: Descriptor) => Promise<Uint8Array>,
  withCopies = false,
): Promise<PlannedArtifact> {
  const blob = configFor(manifest);
  const config = blob && (embeddedData(blob) ?? (await readBlob(blob)));
  return { plan: plan(manifest, config, withCopies), config };
}

/** Reads blobs at a registry, without a cache. */
export function remoteBlobs(
  client: RegistryClient,
  repository: Repository,
  signal: AbortSignal | undefined,
): (blob: Descriptor) => Promise<Uint8Array> {
  return async (blob) =>
    Bun.readableStreamToBytes(await client.openBlob(repository, blob, signal ? { signal } : {}));
}
