import type { Repository } from "../../oci/reference.ts";
import { type ConnectionSettings, openClient } from "../client.ts";
import type { Context } from "../context.ts";
import { printLines } from "../listing.ts";

export default async function tagsLs(
  this: Context,
  settings: ConnectionSettings,
  repository: Repository,
): Promise<void> {
  const client = await openClient(this, settings, repository.registry);
  await printLines(this, client.listTags(repository));
}
