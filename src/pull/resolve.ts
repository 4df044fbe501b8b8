/** `ocireg resolve`: what a reference names, and where it lies on this machine. */
import { plan } from "../model/plan.ts";
import { formatReference } from "../oci/reference.ts";
import { findArtifact } from "./artifact.ts";
import { diskFailure } from "./disk.ts";
import { type PullOptions, type PullResult, pull } from "./pull.ts";
import { modelPath, readView } from "./view.ts";

export interface ResolveOptions extends PullOptions {
  /** Whether to pull what isn't in the cache. @default true */
  readonly pull?: boolean | undefined;
}

export interface Resolution extends Omit<PullResult, "path"> {
  /** Absolute; null when the model isn't in the cache and wasn't to be pulled. */
  readonly path: string | null;
}

/** @throws {Failure} like {@link pull} */
export async function resolve(options: ResolveOptions): Promise<Resolution> {
  if (options.pull !== false) return pull(options);
  try {
    const { digest, manifest } = await findArtifact(options);
    const view = await readView(options.cache, digest);
    return {
      reference: formatReference(options.reference),
      digest,
      path: view?.complete ? modelPath(options.cache, digest) : null,
      format: view?.format ?? plan(manifest).format,
    };
  } catch (error) {
    throw diskFailure(error);
  }
}
