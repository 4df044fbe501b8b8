import { untilAborted } from "../../lib/abort.ts";
import type { Digest } from "../../oci/digest.ts";
import type { Reference } from "../../oci/reference.ts";
import { blobDigestOf } from "../blob-target.ts";
import { type ConnectionSettings, openClient } from "../client.ts";
import type { Context } from "../context.ts";

export default async function blobDelete(
  this: Context,
  settings: ConnectionSettings,
  reference: Reference,
  givenDigest: Digest | undefined,
): Promise<void> {
  const digest = blobDigestOf(reference, givenDigest);
  const client = await openClient(this, settings, reference.registry);
  await untilAborted(client.deleteBlob(reference, digest), this.signal);
}
