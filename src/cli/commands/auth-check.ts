import type { Settings } from "../../config/schema.ts";
import { formatReference, type Reference } from "../../oci/reference.ts";
import type { AccessReport } from "../../registry/client.ts";
import { type ConnectionSettings, openClient } from "../client.ts";
import type { Context } from "../context.ts";
import { describeAnswer, renderAccess } from "../render/access.ts";

export default async function authCheck(
  this: Context,
  settings: ConnectionSettings & Pick<Settings, "json">,
  reference: Reference,
): Promise<void> {
  const client = await openClient(this, settings, reference.registry);
  const report = await client.checkAccess(reference, this.signal);
  if (settings.json) await this.stdout.json(toJson(reference, report));
  else for (const line of renderAccess(reference, report)) await this.stdout.line(line);
  if (report.failure) throw report.failure;
}

function toJson(reference: Reference, report: AccessReport): object {
  const { credential, source, asked } = report.found;
  return {
    reference: formatReference(reference),
    answer: describeAnswer(report).word,
    credential: credential
      ? {
          kind: credential.kind,
          ...(credential.kind === "basic" && { username: credential.username }),
          source,
        }
      : null,
    asked: asked.map(({ source, reason }) => ({ source, ...(reason && { reason }) })),
  };
}
