import type { Settings } from "../../config/schema.ts";
import { untilAborted } from "../../lib/abort.ts";
import type { Reference } from "../../oci/reference.ts";
import { type ConnectionSettings, openClient } from "../client.ts";
import type { Context } from "../context.ts";

export default async function referrersLs(
  this: Context,
  settings: ConnectionSettings & Pick<Settings, "artifactType" | "json">,
  reference: Reference,
): Promise<void> {
  const client = await openClient(this, settings, reference.registry);
  const digest = reference.digest ?? (await client.resolve(reference, this.signal)).digest;
  const referrers = await untilAborted(
    client.listReferrers(reference, digest, settings.artifactType),
    this.signal,
  );
  for (const referrer of referrers) {
    if (settings.json) await this.stdout.json(referrer);
    else {
      const { digest, artifactType = "-", size } = referrer;
      await this.stdout.line(`${digest}\t${artifactType}\t${size}`);
    }
  }
}
