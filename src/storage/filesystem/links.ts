/** Link files: a digest as text, in a file called `link`. */
import { readFile, utimes } from "node:fs/promises";
import { dirname } from "node:path";
import { isMissing, makeDirectory, writeFileDurably } from "../../lib/durable.ts";
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
export async function writeLink(layout: Layout, path: string, digest: Digest): Promise<void> {
  await makeDirectory(dirname(path));
  await writeFileDurably(path, digest, layout.temporaryPath());
}

/** Notes a use: a collector spares what was used lately. On a read-only disk there is none. */
export async function touchLink(path: string): Promise<void> {
  const now = new Date();
  await utimes(path, now, now).catch(() => {});
}
