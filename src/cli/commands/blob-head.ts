import type { Settings } from "../../config/schema.ts";
import { untilAborted } from "../../lib/abort.ts";
import type { Digest } from "../../oci/digest.ts";
import type { Reference } from "../../oci/reference.ts";
import { blobDigestOf, noSuchBlob } from "../blob-target.ts";
import { type ConnectionSettings, openClient } from "../client.ts";
import type { Context } from "../context.ts";

export default async function blobHead(
  this: Context,
  settings: ConnectionSettings & Pick<Settings, "json">,
  reference: Reference,
  givenDigest: Digest | undefined,
): Promise<void> {
  const digest = blobDigestOf(reference, givenDigest);
  const client = await openClient(this, settings, reference.registry);
  const size = await untilAborted(client.statBlob(reference, digest), this.signal);
  if (size === undefined) throw noSuchBlob(reference, digest);
  if (settings.json) await this.stdout.json({ digest, size });
  else await this.stdout.line(`${digest}\t${size}`);
}
