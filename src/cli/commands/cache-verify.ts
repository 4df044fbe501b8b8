import type { Settings } from "../../config/schema.ts";
import { Failure } from "../../lib/failure.ts";
import { readContents } from "../../pull/contents.ts";
import { viewsOf } from "../../pull/remove.ts";
import { verifyCache } from "../../pull/verify.ts";
import type { Context } from "../context.ts";
import { renderVerification } from "../render/cache.ts";
import { drawProgress } from "../render/progress.ts";
import { openCache } from "../transfer.ts";

export default async function cacheVerify(
  this: Context,
  settings: Pick<Settings, "json" | "cacheDir" | "progress">,
  ...words: string[]
): Promise<void> {
  const cache = openCache(this, settings);
  const contents = await readContents(cache);
  const views = viewsOf(contents, words, cache);
  const blobs = words.length === 0 ? contents.blobs.keys() : views.flatMap((view) => view.blobs);
  using drawing = drawProgress(settings.progress, this.stderr);
  const verification = await verifyCache({
    cache,
    blobs: [...new Set(blobs)],
    views: views.map(({ digest }) => digest),
    onEvent: drawing.listener,
    signal: this.signal,
  });
  if (settings.json) await this.stdout.json(verification);
  else await this.stdout.write(renderVerification(verification));
  const { length } = verification.damaged;
  if (length === 0) return;
  throw new Failure(
    "content",
    `${length} damaged ${length === 1 ? "file was" : "files were"} removed from the cache ${JSON.stringify(cache.root)}: the next pull fetches what is missing`,
  );
}
