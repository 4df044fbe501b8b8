/** What an artifact holds, from its manifest and config alone. */
import type { Format, ModelDescription } from "../model/format.ts";
import { configFor, describeModel, plan } from "../model/plan.ts";
import type { Target } from "../model/planned-file.ts";
import type { Descriptor, Platform } from "../oci/descriptor.ts";
import type { Digest } from "../oci/digest.ts";
import { embeddedData } from "../oci/partial.ts";
import { formatReference, type Reference } from "../oci/reference.ts";
import type { RegistryClient } from "../registry/client.ts";
import { fetchArtifact } from "./artifact.ts";

export interface InspectedFile {
  /** Absent when only the file's own header tells, and for archives, which hold several. */
  readonly path?: string;
  readonly kind: Target["kind"];
  readonly mediaType: string;
  readonly digest: Digest;
  /** Bytes. */
  readonly size: number;
}

export interface Inspection {
  /** Canonical. */
  readonly reference: string;
  /** Of the manifest; for an index, of the one that was chosen. */
  readonly digest: Digest;
  readonly mediaType: string;
  readonly format: Format;
  /** Bytes of all layers. */
  readonly size: number;
  readonly files: readonly InspectedFile[];
  /** What the packer wrote about the model. */
  readonly model: ModelDescription;
  readonly annotations: Readonly<Record<string, string>>;
  readonly warnings: readonly string[];
}

/** @throws {Failure} what the client throws; `content` for a manifest that can't be pulled */
export async function inspect(
  client: RegistryClient,
  reference: Reference,
  options: {
    readonly platform?: Platform | undefined;
    readonly signal?: AbortSignal | undefined;
  } = {},
): Promise<Inspection> {
  const { signal } = options;
  const { digest, manifest } = await fetchArtifact({ client, reference, ...options });
  const wanted = configFor(manifest);
  const config = wanted && (await readBlob(client, reference, wanted, signal));
  const { format, files, warnings } = plan(manifest, config);
  return {
    reference: formatReference(reference),
    digest,
    mediaType: manifest.mediaType,
    format,
    size: files.reduce((sum, { descriptor }) => sum + descriptor.size, 0),
    files: files.map(({ descriptor, target }) => ({
      ...(target.kind === "file" && { path: target.path }),
      kind: target.kind,
      mediaType: descriptor.mediaType,
      digest: descriptor.digest,
      size: descriptor.size,
    })),
    model: config ? describeModel(manifest, config) : {},
    annotations: (manifest.kind !== "other" && manifest.content.annotations) || {},
    warnings,
  };
}

async function readBlob(
  client: RegistryClient,
  reference: Reference,
  blob: Descriptor,
  signal: AbortSignal | undefined,
): Promise<Uint8Array> {
  const embedded = embeddedData(blob);
  if (embedded) return embedded;
  const stream = await client.openBlob(reference, blob, signal ? { signal } : {});
  return new Uint8Array(await new Response(stream).arrayBuffer());
}
