import { type ConnectionSettings, openClient } from "../client.ts";
import type { Context } from "../context.ts";
import { printLines } from "../listing.ts";

export default async function reposLs(
  this: Context,
  settings: ConnectionSettings,
  registry: string,
): Promise<void> {
  const client = await openClient(this, settings, registry);
  await printLines(this, client.listRepositories(registry));
}
