/** What a local disk refuses, in words for the user. */
import { statfs } from "node:fs/promises";
import { formatByteSize } from "../lib/byte-size.ts";
import { errorCode } from "../lib/durable.ts";
import { Failure } from "../lib/failure.ts";

const reasons: Readonly<Record<string, string>> = {
  ENOSPC: "the disk is full",
  EDQUOT: "the disk quota is used up",
  EROFS: "the file system is read-only",
  EACCES: "permission denied",
  EPERM: "the operation isn't permitted",
  EIO: "the disk reports an error",
  EMFILE: "too many files are open",
  ENFILE: "too many files are open",
  ENAMETOOLONG: "the path is too long for the file system",
  ENOTDIR: "a part of the path isn't a directory",
  EEXIST: "something else is there",
};

/** What another directory would mend. */
const ofPlace = new Set(["EACCES", "EPERM", "EROFS", "ENOTDIR", "ENOENT"]);

/**
 * A disk failure for a system error that is one; anything else as it is.
 *
 * @param otherwise what to do where the place itself is wrong: `give another one with --cache-dir`
 */
export function diskFailure(error: unknown, otherwise?: string): unknown {
  if (!(error instanceof Error)) return error;
  const { path, syscall } = error as NodeJS.ErrnoException;
  const code = errorCode(error) ?? "";
  const isUnmakeable = code === "ENOENT" && syscall === "mkdir";
  const reason = isUnmakeable ? "the directory can't be made" : reasons[code];
  if (reason === undefined) return error;
  const where = path === undefined ? "" : ` at ${JSON.stringify(path)}`;
  const advice = otherwise && ofPlace.has(code) ? `: ${otherwise}` : "";
  return new Failure("disk", `can't write locally: ${reason}${where}${advice}`, { cause: error });
}

/** A disk failure for a system error of what should be read; anything else as it is. */
export function readFailure(error: unknown, path: string): unknown {
  const code = errorCode(error);
  if (code === undefined || error instanceof Failure) return error;
  const reason = code === "EACCES" ? "permission denied" : (error as Error).message;
  return new Failure("disk", `can't read ${JSON.stringify(path)}: ${reason}`, { cause: error });
}

/**
 * Checks that a file system has room.
 *
 * @param directory any directory on it
 * @param needed bytes still to be written
 * @throws {Failure} `disk`, which says how much is missing
 */
export async function requireSpace(directory: string, needed: number): Promise<void> {
  const { bavail, bsize } = await statfs(directory);
  const free = bavail * bsize;
  if (needed <= free) return;
  throw new Failure(
    "disk",
    `not enough space for the download in ${JSON.stringify(directory)}: it needs ${formatByteSize(needed)}, ${formatByteSize(free)} are free, ${formatByteSize(needed - free)} (${needed - free} bytes) are missing`,
  );
}
