/** What the commands that move models have in common: where progress goes, and the cache. */
import { resolve } from "node:path";
import type { Settings } from "../config/schema.ts";
import { Cache, defaultCacheRoot } from "../pull/cache.ts";
import type { EventListener } from "../pull/events.ts";
import type { UnpackLimits } from "../pull/unpack/limits.ts";
import type { RegistryClient } from "../registry/client.ts";
import { type ConnectionSettings, openClient } from "./client.ts";
import type { Context } from "./context.ts";
import { renderError } from "./render/error.ts";
import { drawProgress } from "./render/progress.ts";

export type TransferSettings = ConnectionSettings & Pick<Settings, "progress">;

/**
 * Runs `move` with a client for `registry` whose retries and warnings are shown as progress.
 *
 * @throws what `move` throws, after it was told as an event
 */
export async function transferring<Result>(
  context: Context,
  settings: TransferSettings,
  registry: string,
  move: (client: RegistryClient, onEvent: EventListener) => Promise<Result>,
): Promise<Result> {
  using drawing = drawProgress(settings.progress, context.stderr);
  const onEvent = drawing.listener;
  try {
    const client = await openClient(context, settings, registry, onEvent);
    return await move(client, onEvent);
  } catch (error) {
    const cause = context.signal.aborted ? context.signal.reason : error;
    onEvent({ type: "error", message: renderError(cause) });
    throw error;
  }
}

export function openCache(context: Context, { cacheDir }: Pick<Settings, "cacheDir">): Cache {
  return new Cache(resolve(cacheDir ?? defaultCacheRoot(context.env)));
}

export type ArchiveSettings = Pick<
  Settings,
  "maxUnpackedSize" | "maxArchiveEntries" | "maxArchiveRatio" | "maxArchiveHeader" | "maxZstdWindow"
>;

/** What archives may ask for. */
export function archiveLimits(settings: ArchiveSettings): UnpackLimits {
  const { maxUnpackedSize, maxArchiveEntries, maxArchiveRatio } = settings;
  const { maxArchiveHeader, maxZstdWindow } = settings;
  return { maxUnpackedSize, maxArchiveEntries, maxArchiveRatio, maxArchiveHeader, maxZstdWindow };
}
