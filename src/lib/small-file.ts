/** Reading files that should be small, from directories that others may have written. */
import { constants, open } from "node:fs/promises";
import { errorCode, isMissing } from "./durable.ts";

/**
 * The content of a regular file. Undefined when there is none, when something else is in its place
 * (a symlink, a pipe that would never end), or when it has more than `limit` bytes.
 */
export async function readSmallFile(path: string, limit: number): Promise<Buffer | undefined> {
  try {
    // Without O_NONBLOCK to open a pipe would wait for its writer.
    const handle = await open(
      path,
      constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK,
    );
    try {
      const status = await handle.stat();
      if (!status.isFile() || status.size > limit) return undefined;
      const content = await handle.readFile();
      return content.byteLength > limit ? undefined : content;
    } finally {
      await handle.close();
    }
  } catch (error) {
    if (isMissing(error) || errorCode(error) === "ELOOP" || errorCode(error) === "ENXIO") {
      return undefined;
    }
    throw error;
  }
}
