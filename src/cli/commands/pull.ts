import type { Settings } from "../../config/schema.ts";
import type { Reference } from "../../oci/reference.ts";
import { defaultHub } from "../../pull/hub-cache.ts";
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
      | "output"
      | "include"
      | "exclude"
      | "layout"
      | "platform"
      | "offline"
      | "verify"
      | "json"
      | "cacheDir"
    >,
  reference: Reference,
): Promise<void> {
  const { output, include, exclude, layout, offline, verify, json } = settings;
  const place = layout === "flat" ? { output } : { hub: output ?? defaultHub(this.env) };
  const result = await transferring(this, settings, reference.registry, (client, onEvent) =>
    pull({
      reference,
      client,
      cache: openCache(this, settings),
      ...place,
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
