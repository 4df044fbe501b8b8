/**
 * The model cache, which every process of a machine or a shared file system may use at once:
 *
 * ```
 * blobs/sha256/<hex>            verified, read-only
 * partial/                      unfinished work and its leases
 * views/sha256-<hex>/           what one manifest shows, see view.ts
 * references/<normalized>       which reference owns that name
 * platforms/<normalized>/<os>+<architecture>
 *                               of a reference that means an index: what was chosen for a platform
 * <normalized>                  a symlink to the view of a reference: the one that was pulled last
 * ```
 */
import { createHash, randomBytes } from "node:crypto";
import { readlink, rename, rm, rmdir, symlink } from "node:fs/promises";
import { homedir } from "node:os";
import { dirname, join } from "node:path";
import { errorCode, isMissing, listIfThere, makeDirectory, syncDirectory } from "../lib/durable.ts";
import { mapConcurrently } from "../lib/pool.ts";
import { formatPlatform, type Platform } from "../oci/descriptor.ts";
import { algorithmOf, type Digest, encodedOf, isDigest } from "../oci/digest.ts";
import { formatReference, type Reference } from "../oci/reference.ts";
import { BlobDirectory } from "./blobs.ts";
import { ownDirectory, removeDirectory, removeFile } from "./removal.ts";

/** Characters of a normalised reference; longer ones are cut and told apart by their hash. */
const MAX_NAME = 200;
/** Names that are looked at at a time. */
const LOOKS = 16;

/** A reference in the cache. */
export interface CacheName {
  /** Its symlink. */
  readonly name: string;
  /** Canonical; whoever wrote the cache chose it. */
  readonly reference: string;
  /** Of the manifest whose view it shows; absent when it shows none. */
  readonly digest?: Digest;
  /** For which this manifest was chosen, when the reference means an index. */
  readonly platform?: string;
}

export class Cache {
  readonly blobs: BlobDirectory;

  /** @param root absolute; made when something is first put into it */
  constructor(readonly root: string) {
    this.blobs = new BlobDirectory(root);
  }

  viewPath(digest: Digest): string {
    return join(this.root, "views", viewName(digest));
  }

  /**
   * The manifest whose view a reference shows, undefined when it was never pulled.
   *
   * @param platform the one to take where the reference means an index
   */
  async find(reference: Reference, platform: Platform): Promise<Digest | undefined> {
    const text = formatReference(reference);
    for (const name of candidateNames(text)) {
      if ((await this.ownerOf(name)) !== text) continue;
      return (await listIfThere(this.choicesOf(name))).length > 0
        ? this.target(join(this.choicesOf(name), choiceName(platform)))
        : this.target(join(this.root, name));
    }
    return undefined;
  }

  /**
   * Makes a reference show the view of a manifest, in one step.
   *
   * @param platform for which it was chosen, where the reference means an index
   */
  async point(reference: Reference, digest: Digest, platform?: Platform): Promise<void> {
    const name = await this.claimName(formatReference(reference));
    const choices = this.choicesOf(name);
    if (platform) await this.swap(join(choices, choiceName(platform)), digest, "../..");
    await this.swap(join(this.root, name), digest, ".");
    if (!platform) await removeDirectory(this.root, "platforms", name);
  }

  /** Every reference with its view, and the platforms for which an index had which. */
  async names(): Promise<CacheName[]> {
    const names = await listIfThere(join(this.root, "references"));
    const found = await mapConcurrently(names, LOOKS, async (name): Promise<CacheName[]> => {
      const reference = await this.ownerOf(name);
      if (reference === undefined || !candidateNames(reference).includes(name)) return [];
      const shown = await this.target(join(this.root, name));
      const entry = { name, reference };
      const directory = this.choicesOf(name);
      const choices: CacheName[] = [];
      for (const choice of await listIfThere(directory)) {
        const digest = await this.target(join(directory, choice));
        if (digest) choices.push({ ...entry, platform: choice.replaceAll("+", "/"), digest });
      }
      const isTold = choices.some(({ digest }) => shown === undefined || digest === shown);
      if (isTold) return choices;
      return [{ ...entry, ...(shown && { digest: shown }) }, ...choices];
    });
    return found.flat();
  }

  /**
   * Takes the name of a view away, if it still is that.
   *
   * @returns whether the reference has no view left, for no platform
   */
  async forget({ name, digest, platform }: CacheName): Promise<boolean> {
    const link = join(this.root, name);
    const choices = await ownDirectory(this.root, "platforms", name);
    if (choices !== undefined && platform !== undefined) {
      await removeFile(join(choices, platform.replaceAll("/", "+")));
    }
    if (digest !== undefined && (await this.target(link)) === digest) await removeFile(link);
    if (choices !== undefined && (await listIfThere(choices)).length === 0) await rmdir(choices);
    return (await listIfThere(this.choicesOf(name))).length === 0 && !(await this.target(link));
  }

  /** Where a name's choices for platforms are. */
  private choicesOf(name: string): string {
    return join(this.root, "platforms", name);
  }

  /** Lets a symlink lead to a view; a reader sees the old one or the new one. */
  private async swap(link: string, digest: Digest, toRoot: string): Promise<void> {
    if ((await this.target(link)) === digest) return;
    const temporary = join(this.blobs.partial, `reference.${randomBytes(8).toString("hex")}`);
    await makeDirectory(this.blobs.partial);
    await makeDirectory(dirname(link));
    await symlink(join(toRoot, "views", viewName(digest)), temporary);
    try {
      await rename(temporary, link);
    } catch (error) {
      await rm(temporary, { force: true });
      throw error;
    }
    await syncDirectory(dirname(link));
  }

  private async target(link: string): Promise<Digest | undefined> {
    try {
      const match = /^(?:\.\.\/\.\.\/)?views\/([^/]+)$/.exec(await readlink(link));
      return match?.[1] === undefined ? undefined : digestOfView(match[1]);
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
      if (isMissing(error) || errorCode(error) === "EINVAL") return undefined;
      throw error;
    }
  }
}

/** `sha256-<hex>`: the directory of a view. */
function viewName(digest: Digest): string {
  return `${algorithmOf(digest)}-${encodedOf(digest)}`;
}

/** The manifest whose view has this directory; undefined when it is none of a view. */
export function digestOfView(name: string): Digest | undefined {
  const digest = name.replace("-", ":");
  return isDigest(digest) ? digest : undefined;
}

/** `linux+arm64`, `linux+arm+v7`: no part of a platform has a plus. */
function choiceName(platform: Platform): string {
  return formatPlatform(platform).replaceAll("/", "+");
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
