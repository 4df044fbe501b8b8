import type { Settings } from "../../config/schema.ts";
import type { Reference } from "../../oci/reference.ts";
import { inspect } from "../../pull/inspect.ts";
import { type ConnectionSettings, openClient } from "../client.ts";
import type { Context } from "../context.ts";
import { logger } from "../log.ts";
import { platformOf } from "../platform.ts";
import { renderInspection } from "../render/inspection.ts";

export default async function inspectCommand(
  this: Context,
  settings: ConnectionSettings & Pick<Settings, "json" | "platform">,
  reference: Reference,
): Promise<void> {
  const platform = platformOf(settings);
  const client = await openClient(this, settings, reference.registry);
  const inspection = await inspect(client, reference, { platform, signal: this.signal });
  if (settings.json) {
    await this.stdout.json(inspection);
    return;
  }
  for (const text of inspection.warnings) logger().warn("{text}", { text });
  await this.stdout.write(renderInspection(inspection));
}
