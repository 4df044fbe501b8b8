/** Takes the content of an OCI layout to a registry, by our client. */
import type { Descriptor } from "../../src/oci/descriptor.ts";
import { parseManifest } from "../../src/oci/manifest.ts";
import { blobsOf, manifestsOf } from "../../src/oci/partial.ts";
import type { Repository } from "../../src/oci/reference.ts";
import type { RegistryClient } from "../../src/registry/client.ts";
import type { Layout } from "../support/oci-layout.ts";

/** The bytes of anything in a layout. */
export function readContent(layout: Layout, { digest }: Pick<Descriptor, "digest">) {
  return Bun.file(`${layout.directory}/blobs/${digest.replace(":", "/")}`).bytes();
}

/** Pushes a manifest of the layout after everything that it names; without a tag, to its digest. */
export async function pushManifest(
  client: RegistryClient,
  layout: Layout,
  descriptor: Descriptor,
  repository: Repository,
  tag?: string,
): Promise<void> {
  const bytes = await readContent(layout, descriptor);
  const manifest = parseManifest(bytes, descriptor.mediaType);
  for (const blob of blobsOf(manifest)) {
    const content = await readContent(layout, blob);
    await client.pushBlob(repository, blob, () => content);
  }
  for (const child of manifestsOf(manifest)) {
    await pushManifest(client, layout, child, repository);
  }
  const target = tag ? { ...repository, tag } : { ...repository, digest: descriptor.digest };
  await client.putManifest(target, bytes, descriptor.mediaType);
}

/** Pushes the image, the index and the referrer, each to a tag of that name. */
export async function pushLayout(client: RegistryClient, layout: Layout, repository: Repository) {
  await pushManifest(client, layout, layout.image, repository, "image");
  await pushManifest(client, layout, layout.index, repository, "index");
  await pushManifest(client, layout, layout.sbom, repository, "sbom");
}
