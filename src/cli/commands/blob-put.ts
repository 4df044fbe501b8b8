import { formatRepository, type Repository } from "../../oci/reference.ts";
import { type ConnectionSettings, openClient } from "../client.ts";
import type { Context } from "../context.ts";
import { describeFile } from "../files.ts";

export default async function blobPut(
  this: Context,
  settings: ConnectionSettings,
  repository: Repository,
  file: string,
): Promise<void> {
  const descriptor = await describeFile(file, this.signal);
  const client = await openClient(this, settings, repository.registry);
  await client.pushBlob(repository, descriptor, () => Bun.file(file), { signal: this.signal });
  await this.stdout.line(`${formatRepository(repository)}@${descriptor.digest}`);
}
