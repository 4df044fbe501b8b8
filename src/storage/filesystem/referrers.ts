/**
 * The reverse index from a subject to its referrers. An entry is written before its manifest's
 * revision, and counts only while that revision exists.
 *
 * Revisions also come and go behind our back: distribution over the same root, an older version of
 * this index, a restored backup. The directories of revisions change their times then, which
 * `_referrers/state` remembers; where they differ, manifests that were never looked at are read.
 */
import { mkdir, readdir, readFile, stat } from "node:fs/promises";
import { isMissing, writeFileDurably } from "../../lib/durable.ts";
import { type Digest, isDigest } from "../../oci/digest.ts";
import type { Layout } from "./layout.ts";
import { readLink, writeLink } from "./links.ts";

/**
 * Milliseconds that a directory must have rested before its time is believed: within the clock's
 * tick, a change might leave no trace.
 */
const settled = 2000;
/** Repositories whose revisions are remembered as looked at. */
const maxRepositories = 256;

export class FilesystemReferrers {
  /** By repository, the revisions whose subject is in the index. */
  private readonly indexed = new Map<string, Set<string>>();

  /** @param subjectOf reads a manifest of a repository and tells its subject */
  constructor(
    private readonly layout: Layout,
    private readonly subjectOf: (repository: string, digest: Digest) => Promise<Digest | undefined>,
  ) {}

  /** To be called before the revision of `referrer` is linked. */
  async add(repository: string, subject: Digest | undefined, referrer: Digest): Promise<void> {
    if (subject && isDigest(subject)) {
      await writeLink(
        this.layout,
        this.layout.referrerLink(repository, subject, referrer),
        referrer,
      );
    }
    this.indexed.get(repository)?.add(referrer);
  }

  /** Existing manifests that refer to `subject`, sorted, from after `last`. */
  async *of(repository: string, subject: Digest, last = ""): AsyncGenerator<Digest> {
    await this.refresh(repository);
    const candidates = await digestsBelow(this.layout.referrersOf(repository, subject));
    for (const candidate of candidates.filter((digest) => digest > last).sort()) {
      if (await readLink(this.layout.revisionLink(repository, candidate))) yield candidate;
    }
  }

  private async refresh(repository: string): Promise<void> {
    const revisions = this.layout.revisions(repository);
    const state = `${this.layout.referrers(repository)}/state`;
    const { fingerprint, newest } = await fingerprintOf(revisions);
    if (fingerprint === "" || (await readState(state)) === fingerprint) return;

    const indexed = this.rememberedOf(repository);
    for (const digest of await digestsBelow(revisions)) {
      if (indexed.has(digest)) continue;
      if (!(await readLink(this.layout.revisionLink(repository, digest)))) continue;
      await this.add(repository, await this.subjectOf(repository, digest), digest);
      indexed.add(digest);
    }
    if (Date.now() - newest > settled) {
      // A cache of what was seen: when the disk is read-only, it is seen again.
      await mkdir(this.layout.referrers(repository), { recursive: true })
        .then(() => writeFileDurably(state, fingerprint, this.layout.temporaryPath()))
        .catch(() => {});
    }
  }

  private rememberedOf(repository: string): Set<string> {
    const known = this.indexed.get(repository) ?? new Set();
    this.indexed.delete(repository);
    this.indexed.set(repository, known);
    const oldest = this.indexed.keys().next();
    if (this.indexed.size > maxRepositories && !oldest.done) this.indexed.delete(oldest.value);
    return known;
  }
}

/** The algorithms' directories and their times; empty when there are no revisions. */
async function fingerprintOf(revisions: string): Promise<{ fingerprint: string; newest: number }> {
  const parts: string[] = [];
  let newest = 0;
  for (const algorithm of await entriesOf(revisions)) {
    const { mtimeNs } = await stat(`${revisions}/${algorithm}`, { bigint: true });
    newest = Math.max(newest, Number(mtimeNs / 1_000_000n));
    parts.push(`${algorithm} ${mtimeNs}\n`);
  }
  return { fingerprint: parts.join(""), newest };
}

async function readState(path: string): Promise<string | undefined> {
  return readFile(path, "utf8").catch(() => undefined);
}

/** Reads `<alg>/<hex>` below a directory as digests. */
async function digestsBelow(directory: string): Promise<Digest[]> {
  const digests: Digest[] = [];
  for (const algorithm of await entriesOf(directory)) {
    for (const encoded of await entriesOf(`${directory}/${algorithm}`)) {
      const digest = `${algorithm}:${encoded}`;
      if (isDigest(digest)) digests.push(digest);
    }
  }
  return digests;
}

async function entriesOf(directory: string): Promise<string[]> {
  try {
    return (await readdir(directory)).sort();
  } catch (error) {
    if (isMissing(error)) return [];
    throw error;
  }
}
