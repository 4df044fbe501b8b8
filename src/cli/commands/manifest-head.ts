import type { Settings } from "../../config/schema.ts";
import type { Reference } from "../../oci/reference.ts";
import { type ConnectionSettings, openClient } from "../client.ts";
import type { Context } from "../context.ts";

export default async function manifestHead(
  this: Context,
  settings: ConnectionSettings & Pick<Settings, "json">,
  reference: Reference,
): Promise<void> {
  const client = await openClient(this, settings, reference.registry);
  const descriptor = await client.resolve(reference, this.signal);
  const { digest, mediaType, size } = descriptor;
  if (settings.json) await this.stdout.json(descriptor);
  else await this.stdout.line(`${digest}\t${mediaType}\t${size}`);
}
