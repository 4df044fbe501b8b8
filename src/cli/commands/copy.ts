import type { Settings } from "../../config/schema.ts";
import type { Reference } from "../../oci/reference.ts";
import { copy } from "../../pull/copy.ts";
import type { Context } from "../context.ts";
import { platformOf } from "../platform.ts";
import { type TransferSettings, transferring } from "../transfer.ts";

/** What `--platform` says for an index as it is. */
const ALL = "all";

export default async function copyCommand(
  this: Context,
  settings: TransferSettings & Pick<Settings, "referrers" | "platform">,
  source: Reference,
  target: Reference,
): Promise<void> {
  const { referrers } = settings;
  const platform = settings.platform === ALL ? undefined : platformOf(settings);
  // Writing needs credentials more often than reading does: those given are for DST.
  const copied = await transferring(this, settings, target.registry, (client, onEvent) =>
    copy({ source, target, client, platform, referrers, onEvent, signal: this.signal }),
  );
  await this.stdout.line(copied.reference);
}
