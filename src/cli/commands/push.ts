import type { Settings } from "../../config/schema.ts";
import { Failure } from "../../lib/failure.ts";
import type { Reference } from "../../oci/reference.ts";
import { push } from "../../pull/push.ts";
import type { Context } from "../context.ts";
import { type TransferSettings, transferring } from "../transfer.ts";

export default async function pushCommand(
  this: Context,
  settings: TransferSettings & Pick<Settings, "format" | "annotation">,
  path: string,
  reference: Reference,
): Promise<void> {
  const { format } = settings;
  const annotations = Object.fromEntries(settings.annotation.map(parseAnnotation));
  const pushed = await transferring(this, settings, reference.registry, (client, onEvent) =>
    push({ path, reference, client, format, annotations, onEvent, signal: this.signal }),
  );
  await this.stdout.line(pushed.reference);
}

/** @throws {Failure} `usage` */
function parseAnnotation(text: string): [string, string] {
  const equals = text.indexOf("=");
  if (equals < 1) {
    throw new Failure("usage", `--annotation is ${JSON.stringify(text)}, want KEY=VALUE`);
  }
  return [text.slice(0, equals), text.slice(equals + 1)];
}
