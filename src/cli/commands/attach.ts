import type { Settings } from "../../config/schema.ts";
import { Failure } from "../../lib/failure.ts";
import type { Reference } from "../../oci/reference.ts";
import { attach } from "../../pull/attach.ts";
import { annotationsOf } from "../annotations.ts";
import type { Context } from "../context.ts";
import { type TransferSettings, transferring } from "../transfer.ts";

export default async function attachCommand(
  this: Context,
  settings: TransferSettings & Pick<Settings, "artifactType" | "mediaType" | "annotation">,
  reference: Reference,
  ...paths: string[]
): Promise<void> {
  const { artifactType, mediaType } = settings;
  if (artifactType === undefined) {
    throw new Failure("usage", "--artifact-type is missing: it says what the attachment is");
  }
  const annotations = annotationsOf(settings);
  const attached = await transferring(this, settings, reference.registry, (client, onEvent) =>
    attach({
      reference,
      paths,
      artifactType,
      mediaType,
      annotations,
      client,
      onEvent,
      signal: this.signal,
    }),
  );
  await this.stdout.line(attached.reference);
}
