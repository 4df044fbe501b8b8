/**
 * The model cache, which every process of a machine or a shared file system may use at once:
 *
 * ```
 * blobs/sha256/<hex>            verified, read-only
 * partial/                      unfinished work and its leases
 * views/sha256-<hex>/           what one manifest shows, see view.ts
 * references/<normalized>       which reference owns that name
 * <normalized>                  a symlink to the view of a reference
 * ```
 */
import { createHash, randomBytes } from "node:crypto";
import { readlink, rename, rm, symlink } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";
import { errorCode, isMissing, makeDirectory, syncDirectory } from "../lib/durable.ts";
import { algorithmOf, type Digest, encodedOf, isDigest } from "../oci/digest.ts";
import { formatReference, type Reference } from "../oci/reference.ts";
import { BlobDirectory } from "./blobs.ts";

/** Characters of a normalised reference; longer ones are cut and told apart by their hash. */
const MAX_NAME = 200;

export class Cache {
  readonly blobs: BlobDirectory;

  /** @param root absolute; made when something is first put into it */
  constructor(readonly root: string) {
    this.blobs = new BlobDirectory(root);
  }

  viewPath(digest: Digest): string {
    return join(this.root, "views", `${algorithmOf(digest)}-${encodedOf(digest)}`);
  }

  /** The manifest whose view a reference shows, undefined when it was never pulled. */
  async find(reference: Reference): Promise<Digest | undefined> {
    const text = formatReference(reference);
    for (const name of candidateNames(text)) {
      if ((await this.ownerOf(name)) === text) return this.target(name);
    }
    return undefined;
  }

  /** Makes a reference show the view of a manifest, in one step. */
  async point(reference: Reference, digest: Digest): Promise<void> {
    const name = await this.claimName(formatReference(reference));
    if ((await this.target(name)) === digest) return;
    const temporary = this.temporaryPath();
    await makeDirectory(this.blobs.partial);
    await symlink(`views/${algorithmOf(digest)}-${encodedOf(digest)}`, temporary);
    try {
      await rename(temporary, join(this.root, name));
    } catch (error) {
      await rm(temporary, { force: true });
      throw error;
    }
    await syncDirectory(this.root);
  }

  private async target(name: string): Promise<Digest | undefined> {
    try {
      const match = /^views\/([a-z0-9]+)-([a-f0-9]+)$/.exec(await readlink(join(this.root, name)));
      const digest = `${match?.[1]}:${match?.[2]}`;
      return isDigest(digest) ? digest : undefined;
    } catch (error) {
      if (isMissing(error) || errorCode(error) === "EINVAL") return undefined;
      throw error;
    }
  }

  /** The name of a reference's symlink, which is its own from now on. */
  private async claimName(text: string): Promise<string> {
    const [name, ...others] = candidateNames(text);
    for (const candidate of [name, ...others]) {
      if ((await this.ownerOf(candidate)) === undefined) await this.claim(candidate, text);
      if ((await this.ownerOf(candidate)) === text) return candidate;
    }
    throw new Error(`two references have the name ${name} and the same hash`);
  }

  /** The owner is the text of a symlink that leads nowhere: made in one step, and by one alone. */
  private async claim(name: string, text: string): Promise<void> {
    const directory = join(this.root, "references");
    await makeDirectory(directory);
    try {
      await symlink(text, join(directory, name));
      await syncDirectory(directory);
    } catch (error) {
      if (errorCode(error) !== "EEXIST") throw error;
    }
  }

  private async ownerOf(name: string): Promise<string | undefined> {
    try {
      return await readlink(join(this.root, "references", name));
    } catch (error) {
      if (isMissing(error)) return undefined;
      throw error;
    }
  }

  private temporaryPath(): string {
    return join(this.blobs.partial, `reference.${randomBytes(8).toString("hex")}`);
  }
}

/** The names that a reference may have: the plain one, and one for when another reference owns that. */
function candidateNames(text: string): readonly [string, ...string[]] {
  const name = text.replace(/[/:@]/g, "_");
  const hash = createHash("sha256").update(text).digest("hex").slice(0, 8);
  if (name.length > MAX_NAME) return [`${name.slice(0, MAX_NAME)}-${hash}`];
  return [name, `${name}-${hash}`];
}

/**
 * Where the cache is unless a flag says otherwise: `OCIREG_CACHE_DIR`, else `oci` in
 * `VLLM_CACHE_ROOT`, else `vllm/oci` in `XDG_CACHE_HOME` or `~/.cache`.
 */
export function defaultCacheRoot(env: Readonly<Record<string, string | undefined>>): string {
  if (env["OCIREG_CACHE_DIR"]) return env["OCIREG_CACHE_DIR"];
  if (env["VLLM_CACHE_ROOT"]) return join(env["VLLM_CACHE_ROOT"], "oci");
  const cacheHome = env["XDG_CACHE_HOME"] || join(env["HOME"] || homedir(), ".cache");
  return join(cacheHome, "vllm", "oci");
}
