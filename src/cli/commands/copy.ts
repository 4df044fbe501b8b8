import type { Settings } from "../../config/schema.ts";
import { Failure } from "../../lib/failure.ts";
import type { Reference } from "../../oci/reference.ts";
import { convert } from "../../pull/convert.ts";
import { copy } from "../../pull/copy.ts";
import type { Context } from "../context.ts";
import { platformOf } from "../platform.ts";
import { type TransferSettings, transferring } from "../transfer.ts";

/** What `--platform` says for an index as it is. */
const ALL = "all";

export default async function copyCommand(
  this: Context,
  settings: TransferSettings & Pick<Settings, "referrers" | "platform" | "format">,
  source: Reference,
  target: Reference,
): Promise<void> {
  const { referrers, format } = settings;
  if (format !== undefined && referrers) {
    throw new Failure(
      "usage",
      "--format and --referrers don't go together: what refers to SRC is of its manifest, not of another one",
    );
  }
  const platform = settings.platform === ALL ? undefined : platformOf(settings);
  // Writing needs credentials more often than reading does: those given are for DST.
  const copied = await transferring(this, settings, target.registry, (client, onEvent) => {
    const options = { source, target, client, platform, onEvent, signal: this.signal };
    return format === undefined ? copy({ ...options, referrers }) : convert({ ...options, format });
  });
  await this.stdout.line(copied.reference);
}
