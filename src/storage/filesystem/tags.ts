import { readdir, rename, rm } from "node:fs/promises";
import { dirname } from "node:path";
import { errorCode, isMissing, makeDirectory, syncDirectory } from "../../lib/durable.ts";
import type { Digest } from "../../oci/digest.ts";
import { isTag } from "../../oci/reference.ts";
import { StorageError } from "../errors.ts";
import type { Page, PageOptions } from "../store.ts";
import { digestPath, type Layout } from "./layout.ts";
import { readLink, writeLink } from "./links.ts";

/** Links that are read at the same time when all tags are looked up. */
const batchSize = 64;

/** Tags: `tags/<tag>/current/link`, and under `index/` what the tag has ever meant. */
export class FilesystemTags {
  constructor(private readonly layout: Layout) {}

  resolve(repository: string, tag: string): Promise<Digest | undefined> {
    return readLink(this.layout.tagLink(repository, tag));
  }

  async put(repository: string, tag: string, digest: Digest): Promise<void> {
    const directory = this.layout.tag(repository, tag);
    // A directory under tags/ is a tag to everybody: a new one appears whole.
    for (let attempt = 0; ; attempt++) {
      try {
        if (await this.create(directory, digest)) return;
        await writeLink(this.layout, indexLink(directory, digest), digest);
        await writeLink(this.layout, `${directory}/current/link`, digest);
        return;
      } catch (error) {
        // It was deleted meanwhile.
        if (!isMissing(error) || attempt >= 10) throw error;
      }
    }
  }

  private async create(directory: string, digest: Digest): Promise<boolean> {
    if ((await readLink(`${directory}/current/link`)) !== undefined) return false;
    const fresh = this.layout.temporaryPath();
    await writeLink(this.layout, indexLink(fresh, digest), digest);
    await writeLink(this.layout, `${fresh}/current/link`, digest);
    try {
      await makeDirectory(dirname(directory));
      await rename(fresh, directory);
    } catch (error) {
      await rm(fresh, { recursive: true, force: true });
      if (errorCode(error) === "ENOTEMPTY" || errorCode(error) === "EEXIST") return false;
      throw error;
    }
    await syncDirectory(dirname(directory));
    return true;
  }

  /** False when there is no such tag. */
  async delete(repository: string, tag: string): Promise<boolean> {
    const directory = this.layout.tag(repository, tag);
    const doomed = this.layout.temporaryPath();
    try {
      await rename(directory, doomed);
    } catch (error) {
      if (isMissing(error)) return false;
      throw error;
    }
    await syncDirectory(dirname(directory));
    await rm(doomed, { recursive: true, force: true });
    return true;
  }

  async list(
    repository: string,
    { limit = Number.POSITIVE_INFINITY, last = "" }: PageOptions = {},
  ): Promise<Page<string>> {
    const following = (await this.names(repository)).filter((tag) => tag > last).sort();
    return { items: following.slice(0, limit), more: following.length > limit };
  }

  /** Every tag that means `digest`. */
  async of(repository: string, digest: Digest): Promise<string[]> {
    const names = await this.names(repository);
    const found: string[] = [];
    for (let start = 0; start < names.length; start += batchSize) {
      const batch = names.slice(start, start + batchSize);
      const digests = await Promise.all(batch.map((tag) => this.resolve(repository, tag)));
      found.push(...batch.filter((_, i) => digests[i] === digest));
    }
    return found;
  }

  /** @throws {StorageError} NAME_UNKNOWN */
  private async names(repository: string): Promise<string[]> {
    try {
      return (await readdir(this.layout.tags(repository))).filter(isTag);
    } catch (error) {
      if (!isMissing(error)) throw error;
    }
    try {
      // Pushed by digest alone, a repository has no tags.
      await readdir(this.layout.manifests(repository));
      return [];
    } catch (error) {
      if (!isMissing(error)) throw error;
      throw new StorageError("NAME_UNKNOWN", `no repository ${repository}`);
    }
  }
}

function indexLink(tagDirectory: string, digest: Digest): string {
  return `${tagDirectory}/index/${digestPath(digest)}/link`;
}
