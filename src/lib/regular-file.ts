/** Opening files in directories that others write to as well, also people who mean ill. */
import { constants, type FileHandle, open } from "node:fs/promises";
import { errorCode, isMissing } from "./durable.ts";

/** How the system says that something else than a file is there. */
const NO_FILE = new Set(["ELOOP", "ENXIO", "EISDIR"]);

/**
 * A regular file at `path`. Undefined when there is none, or when something else is in its place: a
 * symlink, which might lead anywhere; a pipe, which would never end; a directory.
 *
 * @param flags of open(2)
 */
export async function openRegularFile(
  path: string,
  flags: number = constants.O_RDONLY,
): Promise<FileHandle | undefined> {
  let handle: FileHandle;
  try {
    // Without O_NONBLOCK to open a pipe would wait for its other end.
    handle = await open(path, flags | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch (error) {
    if (isMissing(error) || NO_FILE.has(errorCode(error) ?? "")) return undefined;
    throw error;
  }
  try {
    if ((await handle.stat()).isFile()) return handle;
  } catch (error) {
    await handle.close();
    throw error;
  }
  await handle.close();
  return undefined;
}
