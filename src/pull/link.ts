/** One copy on disk under two names. */
import { constants, copyFile, link, open, symlink, unlink } from "node:fs/promises";
import { dirname, relative } from "node:path";
import { errorCode } from "../lib/durable.ts";

/** What to do where the file system knows neither reflinks nor hard links. */
export type Fallback = "symlink" | "copy";

/**
 * Makes `target` show the content of `source` without a second copy of the data: a reflink, which
 * can't harm the source when the target is changed, else a hard link, else the fallback. A symlink
 * is relative. Durable once the target's directory is synced.
 *
 * @throws a system error with code EEXIST when the target is there
 */
export async function linkFile(source: string, target: string, fallback: Fallback): Promise<void> {
  if (await reflink(source, target)) return;
  try {
    await link(source, target);
  } catch (error) {
    if (errorCode(error) === "EEXIST" || errorCode(error) === "ENOENT") throw error;
    if (fallback === "symlink") await symlink(relative(dirname(target), source), target);
    else await copyDurably(source, target, 0);
  }
}

/** Copies the data itself. */
export async function copyDurably(source: string, target: string, mode: number): Promise<void> {
  try {
    await copyFile(source, target, constants.COPYFILE_EXCL | mode);
  } catch (error) {
    // A full disk leaves a part behind.
    if (errorCode(error) !== "EEXIST") await unlink(target).catch(() => {});
    throw error;
  }
  const handle = await open(target, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

async function reflink(source: string, target: string): Promise<boolean> {
  try {
    await copyDurably(source, target, constants.COPYFILE_FICLONE_FORCE);
    return true;
  } catch (error) {
    if (errorCode(error) === "EEXIST" || errorCode(error) === "ENOENT") throw error;
    return false;
  }
}
