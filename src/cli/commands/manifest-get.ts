import type { Settings } from "../../config/schema.ts";
import type { Reference } from "../../oci/reference.ts";
import { type ConnectionSettings, openClient } from "../client.ts";
import type { Context } from "../context.ts";
import { writeFile } from "../files.ts";

export default async function manifestGet(
  this: Context,
  settings: ConnectionSettings & Pick<Settings, "output">,
  reference: Reference,
): Promise<void> {
  const client = await openClient(this, settings, reference.registry);
  const { bytes } = await client.getManifest(reference, this.signal);
  if (settings.output === undefined) await this.stdout.write(bytes);
  else await writeFile(settings.output, [bytes]);
}
