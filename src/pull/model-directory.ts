/** The files of a model on the local disk, symlinks followed: how a Hugging Face cache keeps them. */
import { readdir, realpath, stat } from "node:fs/promises";
import { basename, join } from "node:path";
import { isMissing } from "../lib/durable.ts";
import { Failure } from "../lib/failure.ts";
import { MAX_DEPTH } from "../model/path.ts";

export interface LocalFile {
  /** Relative to the model's root. */
  readonly path: string;
  readonly source: string;
  /** Bytes. */
  readonly size: number;
}

/**
 * Lists a directory, or a single file as a directory of one. Hidden files and folders are left out;
 * a folder that leads back to one above it is listed once.
 *
 * @throws {Failure} `usage` when the path isn't there
 */
export async function listModel(path: string): Promise<LocalFile[]> {
  try {
    const there = await stat(path);
    if (there.isFile()) return [{ path: basename(path), source: path, size: there.size }];
    const files: LocalFile[] = [];
    await list(path, "", new Set(), files);
    return files;
  } catch (error) {
    if (!isMissing(error)) throw error;
    // It may be a symlink in the directory that leads nowhere.
    const missing = JSON.stringify((error as NodeJS.ErrnoException).path ?? path);
    throw new Failure("usage", `can't read the model: ${missing} isn't there`, { cause: error });
  }
}

async function list(
  directory: string,
  prefix: string,
  above: ReadonlySet<string>,
  files: LocalFile[],
): Promise<void> {
  const real = await realpath(directory);
  if (above.has(real) || above.size > MAX_DEPTH) return;
  for (const name of (await readdir(directory)).sort()) {
    if (name.startsWith(".")) continue;
    const source = join(directory, name);
    const there = await stat(source);
    if (there.isFile()) files.push({ path: `${prefix}${name}`, source, size: there.size });
    else if (there.isDirectory()) {
      await list(source, `${prefix}${name}/`, new Set([...above, real]), files);
    }
  }
}
