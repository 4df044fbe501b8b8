import type { Settings } from "../../config/schema.ts";
import { untilAborted } from "../../lib/abort.ts";
import { Failure } from "../../lib/failure.ts";
import { InvalidManifestError, parseManifest } from "../../oci/manifest.ts";
import { formatRepository, type Reference } from "../../oci/reference.ts";
import { type ConnectionSettings, openClient } from "../client.ts";
import type { Context } from "../context.ts";
import { readAll } from "../files.ts";

/** Registries take 4 MiB at least, and hardly one takes more than this. */
const maxSize = 64 * 1024 * 1024;

export default async function manifestPut(
  this: Context,
  settings: ConnectionSettings & Pick<Settings, "mediaType">,
  reference: Reference,
  file: string,
): Promise<void> {
  const bytes = await readAll(this, file, maxSize);
  const mediaType = settings.mediaType ?? declaredType(bytes, file);
  const client = await openClient(this, settings, reference.registry);
  const digest = await untilAborted(client.putManifest(reference, bytes, mediaType), this.signal);
  await this.stdout.line(`${formatRepository(reference)}@${digest}`);
}

/** @throws {Failure} `usage` */
function declaredType(bytes: Uint8Array, file: string): string {
  try {
    return parseManifest(bytes).mediaType;
  } catch (error) {
    if (!(error instanceof InvalidManifestError)) throw error;
    throw new Failure(
      "usage",
      `${JSON.stringify(file)}: ${error.message}; --media-type sends it as it is`,
      {
        cause: error,
      },
    );
  }
}
