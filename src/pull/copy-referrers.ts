/** Copying what refers to a manifest: signatures, SBOMs, and what refers to those. */
import { untilAborted } from "../lib/abort.ts";
import { Failure } from "../lib/failure.ts";
import type { Descriptor } from "../oci/descriptor.ts";
import type { Digest } from "../oci/digest.ts";
import { subjectOf } from "../oci/partial.ts";
import { formatRepository, withDigest } from "../oci/reference.ts";
import { transferAll } from "./concurrently.ts";
import type { CopyOptions } from "./copy.ts";
import type { CopyTransfer } from "./copy-transfer.ts";
import { MANIFESTS_AT_ONCE, readTree } from "./manifest-tree.ts";

/** A signature of a signature of an attestation is three. */
const MAX_DEPTH = 16;
const MAX_REFERRERS = 10_000;

/**
 * Copies the referrers of manifests that are at the target already. The list of a registry that
 * doesn't keep one by itself is kept up by the client.
 *
 * @throws {Failure} `content` where there are more than is plausible
 */
export async function copyReferrers(
  subjects: Iterable<Digest>,
  options: CopyOptions,
  transfer: CopyTransfer,
): Promise<void> {
  const { client, source, target, signal, onEvent } = options;
  const seen = new Set<Digest>();
  const refuse = (reason: string) =>
    new Failure("content", `can't copy the referrers in "${formatRepository(source)}": ${reason}`);

  async function copyAll(digests: Iterable<Digest>, depth: number): Promise<void> {
    if (depth > MAX_DEPTH) throw refuse(`more than ${MAX_DEPTH} refer to each other in a row`);
    await transferAll([...digests], MANIFESTS_AT_ONCE, signal, async (subject) => {
      for (const referrer of await untilAborted(client.listReferrers(source, subject), signal)) {
        if (seen.has(referrer.digest)) continue;
        seen.add(referrer.digest);
        if (seen.size > MAX_REFERRERS) throw refuse(`there are more than ${MAX_REFERRERS}`);
        const below = await copyOne(referrer, subject);
        if (below) await copyAll(below, depth + 1);
      }
    });
  }

  /** Returns the manifests that were copied, whose own referrers come next. */
  async function copyOne(referrer: Descriptor, subject: Digest) {
    const at = withDigest(target, referrer.digest);
    const isThere = (await client.findManifest(at, signal)) !== undefined;
    const tree = await readTree(referrer, isThere, options).catch((error: unknown) => {
      if (!(error instanceof Failure && error.kind === "not-found")) throw error;
      // Lists that clients keep may be behind.
      onEvent?.({ type: "warning", message: `left out a referrer: ${error.message}` });
    });
    if (!tree) return undefined;
    if (tree.root && subjectOf(tree.root.manifest)?.digest !== subject) {
      const message = `left out ${referrer.digest}, which is listed as a referrer of ${subject}, but isn't`;
      onEvent?.({ type: "warning", message });
      return undefined;
    }
    await transfer.pushBelow(tree);
    if (tree.root && !isThere) await transfer.put(at, tree.root);
    return tree.digests;
  }

  await copyAll(subjects, 1);
}
