import type { Settings } from "../../config/schema.ts";
import { pruneCache } from "../../pull/prune.ts";
import type { Context } from "../context.ts";
import { renderSweep } from "../render/cache.ts";
import { openCache } from "../transfer.ts";

export default async function cachePrune(
  this: Context,
  settings: Pick<Settings, "olderThan" | "keepSize" | "dryRun" | "json" | "cacheDir">,
): Promise<void> {
  const { olderThan, keepSize, dryRun, json } = settings;
  const cache = openCache(this, settings);
  const sweep = await pruneCache({ cache, olderThan, keepSize, dryRun });
  if (json) await this.stdout.json({ dryRun, ...sweep });
  else await this.stdout.write(renderSweep(sweep, dryRun));
}
