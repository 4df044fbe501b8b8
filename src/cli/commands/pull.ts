import type { Settings } from "../../config/schema.ts";
import type { Reference } from "../../oci/reference.ts";
import { pull } from "../../pull/pull.ts";
import type { Context } from "../context.ts";
import { platformOf } from "../platform.ts";
import {
  type ArchiveSettings,
  archiveLimits,
  openCache,
  type TransferSettings,
  transferring,
} from "../transfer.ts";

export default async function pullCommand(
  this: Context,
  settings: TransferSettings &
    ArchiveSettings &
    Pick<
      Settings,
      "output" | "include" | "exclude" | "platform" | "offline" | "verify" | "json" | "cacheDir"
    >,
  reference: Reference,
): Promise<void> {
  const { output, include, exclude, offline, verify, json } = settings;
  const result = await transferring(this, settings, reference.registry, (client, onEvent) =>
    pull({
      reference,
      client,
      cache: openCache(this, settings),
      output,
      include,
      exclude,
      platform: platformOf(settings),
      offline,
      verify,
      limits: archiveLimits(settings),
      onEvent,
      signal: this.signal,
    }),
  );
  if (json) await this.stdout.json(result);
  else await this.stdout.line(result.path);
}
