/**
 * Writing to a cache that others may have written, and removing things from it, also people who mean
 * ill: nothing is ever written or removed through a symlink that leads out of it.
 */
import { lstat, readdir, rm, stat, unlink } from "node:fs/promises";
import { join } from "node:path";
import { ignoreMissing, isMissing } from "../lib/durable.ts";
import { Failure } from "../lib/failure.ts";

/**
 * Checks that every part of a path below `root` is a directory of its own, and no symlink.
 *
 * @param root may be reached by a symlink: where the cache is, is its owner's choice
 * @returns the path; undefined when there is nothing
 * @throws {Failure} `disk`
 */
export async function ownDirectory(
  root: string,
  ...parts: readonly string[]
): Promise<string | undefined> {
  let path = root;
  for (const part of parts) {
    path = join(path, part);
    const there = await lookAt(path);
    if (!there) return undefined;
    if (!there.isDirectory()) {
      throw new Failure(
        "disk",
        `${JSON.stringify(path)} isn't a directory of its own: nothing is written or removed through it`,
      );
    }
  }
  return path;
}

/** Whether no directory in a tree is a symlink, behind which something else could be removed. */
export async function isOwnTree(directory: string): Promise<boolean> {
  for (const entry of await readdir(directory, { withFileTypes: true })) {
    const path = join(directory, entry.name);
    if (entry.isDirectory() && !(await isOwnTree(path))) return false;
    if (entry.isSymbolicLink() && (await leadsToDirectory(path))) return false;
  }
  return true;
}

async function leadsToDirectory(link: string): Promise<boolean> {
  try {
    return (await stat(link)).isDirectory();
  } catch {
    return false;
  }
}

/** Removes a directory below `root` with all that is in it, following no symlink. */
export async function removeDirectory(root: string, ...parts: readonly string[]): Promise<void> {
  const path = await ownDirectory(root, ...parts);
  if (path !== undefined) await rm(path, { recursive: true, force: true });
}

/** Removes a file or a symlink; what it leads to stays. */
export async function removeFile(path: string): Promise<void> {
  await unlink(path).catch(ignoreMissing);
}

/** What is at a path, itself and not what it leads to; undefined when there is nothing. */
export async function lookAt(path: string) {
  try {
    return await lstat(path);
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}
