/** Copying from registry to registry: everything streams, and nothing touches the disk. */
import { Failure } from "../lib/failure.ts";
import type { Descriptor, Platform } from "../oci/descriptor.ts";
import { algorithmOf, type Digest } from "../oci/digest.ts";
import { describe } from "../oci/partial.ts";
import {
  formatReference,
  formatRepository,
  type Reference,
  withDigest,
  withTag,
} from "../oci/reference.ts";
import type { RegistryClient } from "../registry/client.ts";
import { fetchArtifact } from "./artifact.ts";
import { copyReferrers } from "./copy-referrers.ts";
import { CopyTransfer } from "./copy-transfer.ts";
import type { EventListener } from "./events.ts";
import { readTree } from "./manifest-tree.ts";

export interface CopyOptions {
  readonly source: Reference;
  readonly target: Reference;
  readonly client: RegistryClient;
  /** Copy of an index the manifest for this platform alone. @default the index and all of it */
  readonly platform?: Platform | undefined;
  /** Copy what refers to it too, and what refers to that. @default false */
  readonly referrers?: boolean | undefined;
  readonly onEvent?: EventListener | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface CopyResult {
  /** `repository@digest`, at the target. */
  readonly reference: string;
  readonly digest: Digest;
}

/**
 * Copies what `source` names, byte for byte, with all that it consists of. What the target has isn't
 * moved again; what another repository of the target's registry has is mounted. The tag comes last.
 *
 * @throws {Failure} `usage` where the target names a digest, and it is another; `content` where a
 *   blob isn't what its digest says, which is then not stored; what the client throws
 */
export async function copy(options: CopyOptions): Promise<CopyResult> {
  const { source, target, client, signal } = options;
  const root = await findRoot(options);
  const { digest } = root;
  if (target.digest !== undefined && target.digest !== digest) {
    throw new Failure(
      "usage",
      `${formatReference(source)} is ${digest}, which isn't the digest of ${formatReference(target)}`,
    );
  }
  const { tag } = target;
  const byDigest = withDigest(target, digest);
  const tagged = tag && (await client.findManifest(withTag(target, tag), signal));
  const isThere = tagged === digest || (await client.findManifest(byDigest, signal)) !== undefined;

  using transfer = new CopyTransfer(options);
  const tree = await readTree(root, isThere, options);
  await transfer.pushBelow(tree);
  const read = async () => tree.root ?? client.getManifest(withDigest(source, digest), signal);
  // A registry that is given a tag alone may know the manifest by its sha256 only.
  const needsDigest = !tag || options.referrers || algorithmOf(digest) !== "sha256";
  if (!isThere && needsDigest) await transfer.put(byDigest, await read());
  // Who watches the tag finds the signatures when it moves.
  if (options.referrers) await copyReferrers(tree.digests, options, transfer);
  if (tag && tagged !== digest) await transfer.put({ ...byDigest, tag }, await read());
  transfer.done();
  return { reference: `${formatRepository(target)}@${digest}`, digest };
}

/** What is to be copied. */
async function findRoot(options: CopyOptions): Promise<Descriptor> {
  const { source, client, platform, signal } = options;
  if (platform === undefined) return client.resolve(source, signal);
  const artifact = await fetchArtifact({ reference: source, client, platform, signal });
  return describe(artifact.manifest.mediaType, artifact.bytes, artifact.digest);
}
