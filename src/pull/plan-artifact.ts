/** What an artifact at a registry means as a model, without a cache. */
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

/** @throws {Failure} `content` for a manifest that can't be pulled; what the client throws */
export async function planArtifact(
  client: RegistryClient,
  repository: Repository,
  manifest: Manifest,
  signal: AbortSignal | undefined,
): Promise<PlannedArtifact> {
  const blob = configFor(manifest);
  const config = blob && (embeddedData(blob) ?? (await readBlob(client, repository, blob, signal)));
  return { plan: plan(manifest, config), config };
}

async function readBlob(
  client: RegistryClient,
  repository: Repository,
  blob: Descriptor,
  signal: AbortSignal | undefined,
): Promise<Uint8Array> {
  const stream = await client.openBlob(repository, blob, signal ? { signal } : {});
  return Bun.readableStreamToBytes(stream);
}
