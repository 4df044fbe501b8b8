/** Link files: a digest as text, in a file called `link`. */
import { readFile, rmdir, unlink, utimes } from "node:fs/promises";
import { dirname } from "node:path";
import { isMissing, makeDirectory, syncDirectory, writeFileDurably } from "../../lib/durable.ts";
import { type Digest, isDigest } from "../../oci/digest.ts";
import { CorruptContentError } from "../errors.ts";
import type { Layout } from "./layout.ts";

/** The digest in a link, or undefined when there is no link. What counts is its content. */
export async function readLink(path: string): Promise<Digest | undefined> {
  let content: string;
  try {
    content = await readFile(path, "utf8");
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
  const digest = content.trim();
  if (!isDigest(digest)) throw new CorruptContentError(`the link ${path} holds no digest`);
  return digest;
}

/** Writes a link, durably, with the directories that it needs. */
export function writeLink(layout: Layout, path: string, digest: Digest): Promise<void> {
  return writeWithParents(layout, path, digest);
}

/** Times that directories are made anew when a deletion takes them away meanwhile. */
const maxAttempts = 10;

/** Writes a small file, durably, with the directories that it needs. */
export async function writeWithParents(
  layout: Layout,
  path: string,
  content: string,
): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    try {
      await makeDirectory(dirname(path));
      await writeFileDurably(path, content, layout.temporaryPath());
      return;
    } catch (error) {
      if (!isMissing(error) || attempt === maxAttempts) throw error;
    }
  }
}

/**
 * Removes a link, durably, and its directory where nothing else is in it.
 *
 * @returns false when there was none
 */
export async function removeLink(path: string): Promise<boolean> {
  const directory = dirname(path);
  try {
    await unlink(path);
  } catch (error) {
    if (isMissing(error)) return false;
    throw error;
  }
  await syncDirectory(directory).catch((error) => {
    // Another deletion took it away, and synced before.
    if (!isMissing(error)) throw error;
  });
  await rmdir(directory).catch(() => {});
  return true;
}

/** Notes a use: a collector spares what was used lately. On a read-only disk there is none. */
export async function touchLink(path: string): Promise<void> {
  const now = new Date();
  await utimes(path, now, now).catch(() => {});
}
