import { resolve } from "node:path";
import type { Settings } from "../../config/schema.ts";
import { defaultCacheRoot } from "../../pull/cache.ts";
import type { Context } from "../context.ts";

export default async function cachePath(
  this: Context,
  { cacheDir }: Pick<Settings, "cacheDir">,
): Promise<void> {
  await this.stdout.line(resolve(cacheDir ?? defaultCacheRoot(this.env)));
}
