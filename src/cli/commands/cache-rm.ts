import type { Settings } from "../../config/schema.ts";
import { removeFromCache } from "../../pull/remove.ts";
import type { Context } from "../context.ts";
import { renderSweep } from "../render/cache.ts";
import { openCache } from "../transfer.ts";

export default async function cacheRm(
  this: Context,
  settings: Pick<Settings, "dryRun" | "json" | "cacheDir">,
  ...words: string[]
): Promise<void> {
  const { dryRun, json } = settings;
  const sweep = await removeFromCache({ cache: openCache(this, settings), words, dryRun });
  if (json) await this.stdout.json({ dryRun, ...sweep });
  else await this.stdout.write(renderSweep(sweep, dryRun));
}
