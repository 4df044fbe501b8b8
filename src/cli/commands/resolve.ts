import type { Settings } from "../../config/schema.ts";
import type { Reference } from "../../oci/reference.ts";
import { resolve } from "../../pull/resolve.ts";
import type { Context } from "../context.ts";
import { platformOf } from "../platform.ts";
import {
  type ArchiveSettings,
  archiveLimits,
  openCache,
  type TransferSettings,
  transferring,
} from "../transfer.ts";

export default async function resolveCommand(
  this: Context,
  settings: TransferSettings &
    ArchiveSettings &
    Pick<Settings, "noPull" | "platform" | "offline" | "cacheDir">,
  reference: Reference,
): Promise<void> {
  const { noPull, offline } = settings;
  const resolved = await transferring(this, settings, reference.registry, (client, onEvent) =>
    resolve({
      reference,
      client,
      cache: openCache(this, settings),
      platform: platformOf(settings),
      pull: !noPull,
      offline,
      limits: archiveLimits(settings),
      onEvent,
      signal: this.signal,
    }),
  );
  await this.stdout.json(resolved);
}
