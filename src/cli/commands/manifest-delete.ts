import { untilAborted } from "../../lib/abort.ts";
import type { Reference } from "../../oci/reference.ts";
import { type ConnectionSettings, openClient } from "../client.ts";
import type { Context } from "../context.ts";

export default async function manifestDelete(
  this: Context,
  settings: ConnectionSettings,
  reference: Reference,
): Promise<void> {
  const client = await openClient(this, settings, reference.registry);
  await untilAborted(client.deleteManifest(reference), this.signal);
}
