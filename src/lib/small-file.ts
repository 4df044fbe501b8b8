/** Reading files that should be small, from directories that others may have written. */
import { openRegularFile } from "./regular-file.ts";

/**
 * The content of a regular file. Undefined when there is none, when something else is in its place
 * (a symlink, a pipe that would never end), or when it has more than `limit` bytes.
 */
export async function readSmallFile(path: string, limit: number): Promise<Buffer | undefined> {
  const handle = await openRegularFile(path);
  if (!handle) return undefined;
  try {
    if ((await handle.stat()).size > limit) return undefined;
    const content = await handle.readFile();
    return content.byteLength > limit ? undefined : content;
  } finally {
    await handle.close();
  }
}
