/** The files of a model on the local disk, symlinks followed: how a Hugging Face cache keeps them. */
import { readdir, readFile, realpath, stat } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { ignoreMissing, isMissing } from "../lib/durable.ts";
import { Failure } from "../lib/failure.ts";
import { isNoise, shardOf, splitsOf } from "../model/model-files.ts";
import { MAX_DEPTH } from "../model/path.ts";
import { readFailure } from "./disk.ts";

/** Files and folders: far more than a manifest can name. */
const MOST_ENTRIES = 100_000;

export interface FoundFile {
  /** Relative to the model's root. */
  readonly path: string;
  readonly source: string;
  /** Bytes. */
  readonly size: number;
}

/**
 * Lists a directory; of a Hugging Face cache the snapshot that its `main` means; a single file as a
 * directory of one, or of all shards that it is one of. Hidden files and other noise are left out; a
 * folder that leads back to one above it is listed once.
 *
 * @throws {Failure} `usage` when the path isn't there, or it isn't clear which model is meant, or there
 *   are more than 100,000 files and folders: symlinks to folders multiply them; `disk` when something can't be read
 */
export async function listModel(path: string): Promise<FoundFile[]> {
  try {
    const there = await stat(path);
    if (there.isFile()) return await listShards(path);
    const files: FoundFile[] = [];
    await list((await findSnapshot(path)) ?? path, "", new Set(), { files, left: MOST_ENTRIES });
    return files;
  } catch (error) {
    // It may be a symlink in the directory that leads nowhere.
    const at = (error as NodeJS.ErrnoException).path ?? path;
    if (!isMissing(error)) throw readFailure(error, at);
    const message = `can't read the model: ${JSON.stringify(at)} isn't there`;
    throw new Failure("usage", message, { cause: error });
  }
}

async function listShards(path: string): Promise<FoundFile[]> {
  const directory = dirname(path);
  const name = basename(path);
  const shard = shardOf(name);
  const names = shard ? splitsOf(name, await readdir(directory)).sort() : [name];
  if (shard && names.length !== shard.count) {
    throw new Failure(
      "usage",
      `${JSON.stringify(path)} is one of ${shard.count} shards, but ${names.length} are there: want all of them`,
    );
  }
  return Promise.all(
    names.map(async (file) => {
      const source = join(directory, file);
      return { path: file, source, size: (await stat(source)).size };
    }),
  );
}

/**
 * The snapshot to take when `path` is a model's directory in a Hugging Face cache, as
 * `models--org--name`; undefined when it is none.
 */
async function findSnapshot(path: string): Promise<string | undefined> {
  const names = await readdir(path);
  if (!names.includes("snapshots") || !names.includes("blobs")) return undefined;
  const main = await readFile(join(path, "refs", "main"), "utf8").catch(ignoreMissing);
  const commits = await readdir(join(path, "snapshots"));
  const [only, ...others] = commits;
  const commit = commits.find((name) => name === main?.trim());
  if (commit === undefined && (only === undefined || others.length > 0)) {
    throw new Failure(
      "usage",
      `${JSON.stringify(path)} has ${commits.length} snapshots: name the one to push, ${JSON.stringify(join(path, "snapshots", only ?? "…"))}`,
    );
  }
  return join(path, "snapshots", commit ?? only ?? "");
}

interface Listing {
  readonly files: FoundFile[];
  /** Entries that may still be looked at. */
  left: number;
}

async function list(
  directory: string,
  prefix: string,
  above: ReadonlySet<string>,
  listing: Listing,
): Promise<void> {
  const real = await realpath(directory);
  if (above.has(real) || above.size > MAX_DEPTH) return;
  for (const name of (await readdir(directory)).sort()) {
    if (isNoise(name)) continue;
    if (--listing.left < 0) {
      throw new Failure(
        "usage",
        `the model has more than ${MOST_ENTRIES} files, counted through its symlinks: the last is in ${JSON.stringify(directory)}`,
      );
    }
    const source = join(directory, name);
    const there = await stat(source);
    if (there.isFile()) listing.files.push({ path: `${prefix}${name}`, source, size: there.size });
    else if (there.isDirectory()) {
      await list(source, `${prefix}${name}/`, new Set([...above, real]), listing);
    }
  }
}
