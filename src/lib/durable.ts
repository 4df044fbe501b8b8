/**
 * Changes to the file system that survive a power cut: data is synced before its name appears, and
 * a directory is synced after an entry in it changed.
 */
import { type FileHandle, mkdir, open, readdir, rename, unlink } from "node:fs/promises";
import { dirname } from "node:path";

/** Makes the entries of a directory durable. */
export async function syncDirectory(path: string): Promise<void> {
  const handle = await open(path, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** Creates a directory and its missing parents, each durable in its own parent. */
export async function makeDirectory(path: string): Promise<void> {
  const firstCreated = await mkdir(path, { recursive: true });
  if (firstCreated === undefined) return;
  const top = dirname(firstCreated);
  for (let directory = dirname(path); ; directory = dirname(directory)) {
    await syncDirectory(directory);
    if (directory === top || directory === dirname(directory)) return;
  }
}

/**
 * Puts `content` at `path`, replacing what is there, in one step: a reader, or a crash, sees the old
 * content or the new. `temporary` is a path on the same file system that nobody else uses; `mode` is
 * what the file's permissions become.
 */
export async function writeFileDurably(
  path: string,
  content: string | Uint8Array,
  temporary: string,
  mode = 0o644,
): Promise<void> {
  try {
    await writeSynced(temporary, content, mode);
    await rename(temporary, path);
  } catch (error) {
    await unlink(temporary).catch(() => {});
    throw error;
  }
  await syncDirectory(dirname(path));
}

/**
 * Writes a file that isn't there yet, and syncs its data; its name isn't synced.
 *
 * @param mode what the umask leaves of it are the file's permissions
 */
export async function writeSynced(
  path: string,
  content: string | Uint8Array,
  mode = 0o644,
): Promise<void> {
  const handle = await open(path, "wx", mode);
  try {
    await writeFully(handle, typeof content === "string" ? Buffer.from(content) : content, 0);
    await handle.datasync();
  } finally {
    await handle.close();
  }
}

/** Writes all of `chunk` at `position`, in bytes from the start: one write may take only a part. */
export async function writeFully(
  handle: FileHandle,
  chunk: Uint8Array,
  position: number,
): Promise<void> {
  for (let done = 0; done < chunk.byteLength; ) {
    const { bytesWritten } = await handle.write(
      chunk,
      done,
      chunk.byteLength - done,
      position + done,
    );
    done += bytesWritten;
  }
}

/** The `code` of a system error, such as `ENOENT`. */
export function errorCode(error: unknown): string | undefined {
  return error instanceof Error && "code" in error && typeof error.code === "string"
    ? error.code
    : undefined;
}

/** Whether the error says that a path isn't there: missing, or below something that is a file. */
export function isMissing(error: unknown): boolean {
  const code = errorCode(error);
  return code === "ENOENT" || code === "ENOTDIR";
}

/** The names in a directory; none when there is no such directory. */
export async function listIfThere(path: string): Promise<string[]> {
  try {
    return await readdir(path);
  } catch (error) {
    if (isMissing(error)) return [];
    throw error;
  }
}

/** For a promise's `catch`: what was to be removed or read isn't there. */
export function ignoreMissing(error: unknown): void {
  if (!isMissing(error)) throw error;
}
