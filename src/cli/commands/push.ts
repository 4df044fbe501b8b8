import type { Settings } from "../../config/schema.ts";
import type { Reference } from "../../oci/reference.ts";
import { push } from "../../pull/push.ts";
import { annotationsOf } from "../annotations.ts";
import type { Context } from "../context.ts";
import { type TransferSettings, transferring } from "../transfer.ts";

export default async function pushCommand(
  this: Context,
  settings: TransferSettings & Pick<Settings, "format" | "annotation">,
  path: string,
  reference: Reference,
): Promise<void> {
  const { format = "modelpack" } = settings;
  const annotations = annotationsOf(settings);
  const pushed = await transferring(this, settings, reference.registry, (client, onEvent) =>
    push({ path, reference, client, format, annotations, onEvent, signal: this.signal }),
  );
  await this.stdout.line(pushed.reference);
}
