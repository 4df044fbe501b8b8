import type { Settings } from "../../config/schema.ts";
import { untilAborted } from "../../lib/abort.ts";
import type { Digest } from "../../oci/digest.ts";
import type { Reference } from "../../oci/reference.ts";
import { blobDigestOf, noSuchBlob } from "../blob-target.ts";
import { type ConnectionSettings, openClient } from "../client.ts";
import type { Context } from "../context.ts";
import { writeFile } from "../files.ts";

export default async function blobGet(
  this: Context,
  settings: ConnectionSettings & Pick<Settings, "output">,
  reference: Reference,
  givenDigest: Digest | undefined,
): Promise<void> {
  const digest = blobDigestOf(reference, givenDigest);
  const client = await openClient(this, settings, reference.registry);
  const size = await untilAborted(client.statBlob(reference, digest), this.signal);
  if (size === undefined) throw noSuchBlob(reference, digest);
  const content = await client.openBlob(reference, { digest, size }, { signal: this.signal });
  if (settings.output === undefined) await this.stdout.pipe(content);
  else await writeFile(settings.output, content);
}
