import type { Settings } from "../../config/schema.ts";
import { readContents } from "../../pull/contents.ts";
import { unusedBlobs } from "../../pull/remove.ts";
import { modelPath } from "../../pull/view.ts";
import type { Context } from "../context.ts";
import { renderContents, stateOf } from "../render/cache.ts";
import { openCache } from "../transfer.ts";

export default async function cacheLs(
  this: Context,
  settings: Pick<Settings, "json" | "cacheDir">,
): Promise<void> {
  const cache = openCache(this, settings);
  const contents = await readContents(cache);
  if (!settings.json) {
    await this.stdout.write(renderContents(contents, Date.now()));
    return;
  }
  const unused = unusedBlobs(contents).map((digest) => contents.blobs.get(digest)?.size ?? 0);
  await this.stdout.json({
    path: cache.root,
    size: contents.size,
    unused: sum(unused),
    unfinished: sum(contents.work.map(({ size }) => size)),
    views: contents.views.toReversed().map((view) => ({
      digest: view.digest,
      references: view.names.map(({ reference, platform }) => ({ reference, platform })),
      format: view.record?.format ?? null,
      state: stateOf(view),
      size: view.size,
      used: new Date(view.used).toISOString(),
      path: modelPath(cache, view.digest),
    })),
  });
}

function sum(sizes: readonly number[]): number {
  return sizes.reduce((total, size) => total + size, 0);
}
