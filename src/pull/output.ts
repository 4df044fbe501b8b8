/**
 * `--output DIR`: a model straight onto the file system of DIR. Everything lies in the hidden
 * `DIR/.ocireg/` until all of it is verified and unpacked; then the files get their names.
 */
import { chmod, mkdir, realpath, rename, rm, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { ignoreMissing, makeDirectory, syncDirectory } from "../lib/durable.ts";
import { Failure } from "../lib/failure.ts";
import { RESERVED_DIRECTORY } from "../model/path.ts";
import type { Plan } from "../model/plan.ts";
import type { PlannedFile } from "../model/planned-file.ts";
import type { Digest } from "../oci/digest.ts";
import type { Artifact } from "./artifact.ts";
import { prepareModel } from "./assemble.ts";
import { BlobDirectory, matches } from "./blobs.ts";
import type { Cache } from "./cache.ts";
import { withLease } from "./lease.ts";
import { linkFile } from "./link.ts";
import type { ModelFile } from "./model-file.ts";
import {
  covers,
  isIntact,
  type ModelRecord,
  RECORD_NAME,
  readRecord,
  recordOf,
  writeRecord,
} from "./record.ts";
import { lookAt, ownDirectory } from "./removal.ts";
import type { Receiver } from "./transfer.ts";
import { UnpackedLayers } from "./unpack/layers.ts";
import { Unpacking } from "./unpack/unpacking.ts";
import type { ViewOptions } from "./view.ts";

/** What is about to be placed: after a crash it tells which files in DIR are ours. */
const PENDING_NAME = "pending.json";

export class OutputDirectory {
  /** What DIR keeps of a pull that isn't finished. */
  readonly blobs: BlobDirectory;

  private constructor(
    /** Absolute, without symlinks. */
    readonly path: string,
  ) {
    this.blobs = new BlobDirectory(join(path, RESERVED_DIRECTORY));
  }

  /** Opens a directory, which is made when it isn't there. */
  static async open(path: string): Promise<OutputDirectory> {
    await makeDirectory(path);
    const output = new OutputDirectory(await realpath(path));
    // DIR may have come with symlinks in it, behind which we would write and remove.
    for (const part of ["blobs", "partial", "unpacked"]) {
      await ownDirectory(output.path, RESERVED_DIRECTORY, part);
    }
    return output;
  }

  /** Where archives lie that are unpacked, as long as the pull isn't finished. */
  private get unpacked(): string {
    return join(this.blobs.root, "unpacked");
  }

  /** The record of the model that DIR holds, when all of its files are there. */
  async read(): Promise<ModelRecord | undefined> {
    const record = await readRecord(join(this.blobs.root, RECORD_NAME));
    return record && (await isIntact(record, this.path)) ? record : undefined;
  }

  /**
   * Makes DIR show `files` of an artifact, and nothing of them before all are verified. Files that
   * an earlier pull placed and that aren't in this one go.
   *
   * @param fetch fetches into `blobs` what isn't there yet, and gives each blob to `receive`
   * @throws {Failure} `usage` when a file is in the way that no pull placed; `content` when archives
   *   or headers are hostile; what `fetch` throws
   */
  async show(
    artifact: Artifact,
    plan: Plan,
    files: readonly PlannedFile[],
    cache: Cache,
    fetch: (needed: readonly PlannedFile[], receive: Receiver) => Promise<void>,
    options: ViewOptions & { readonly verify?: boolean | undefined },
  ): Promise<void> {
    const { limits, signal } = options;
    let worked = false;
    const isDone = async () => {
      if (options.verify && !worked) return false;
      const record = await this.read();
      return record?.digest === artifact.digest && covers(record, files);
    };
    const directory = this.blobs.partial;
    await withLease({ directory, name: "output", isDone, signal }, async (working, ending) => {
      worked = true;
      const layers = new UnpackedLayers(this.unpacked, `${working}.layer`);
      // Of an archive what it held is kept, and no second copy of that.
      const onUnpacked = (digest: Digest) => rm(this.blobs.path(digest), { force: true });
      const unpacking = new Unpacking(files, this.blobs, layers, {
        limits,
        onUnpacked,
        signal: ending,
      });
      const needed = await unpacking.resume();
      await this.takeLocalBlobs(needed, cache, `${working}.blob`, signal);
      await fetch(needed, (blob, failing) => unpacking.receive(blob, failing));
      await mkdir(working);
      const isWhole = files.length === plan.files.length;
      const model = await prepareModel(unpacking, this.blobs, working, isWhole);
      const earlier = await this.earlierFiles();
      for (const { path } of model) await this.requireRoom(path, earlier);
      const record = recordOf(artifact, plan, files, model);
      await writeRecord(join(this.blobs.root, PENDING_NAME), record);
      await this.place(model);
      const paths = new Set(model.map(({ path }) => path));
      for (const path of earlier) {
        if (!paths.has(path)) await this.remove(path);
      }
      await writeRecord(join(this.blobs.root, RECORD_NAME), record);
      await rm(join(this.blobs.root, PENDING_NAME), { force: true });
      await rm(join(this.blobs.root, "blobs"), { recursive: true, force: true });
      await rm(this.unpacked, { recursive: true, force: true });
    });
  }

  /** Takes what the cache has, and what an earlier pull placed here, if it still is what it was. */
  private async takeLocalBlobs(
    files: readonly PlannedFile[],
    cache: Cache,
    working: string,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    const placed = new Map<string, string>();
    for (const record of await this.records()) {
      for (const file of record.files) placed.set(file.digest, join(this.path, file.path));
    }
    for (const { descriptor } of files) {
      const { digest, size } = descriptor;
      if (await this.blobs.has(descriptor)) continue;
      const path = placed.get(digest);
      if (path && (await isFileOf(path, size)) && (await matches(path, digest, signal))) {
        await this.blobs.take(digest, path, working);
      } else if (await cache.blobs.has(descriptor)) {
        // What somebody removes from the cache meanwhile is fetched.
        await this.blobs.take(digest, cache.blobs.path(digest), working).catch(ignoreMissing);
      }
    }
  }

  private async records(): Promise<ModelRecord[]> {
    const names = [RECORD_NAME, PENDING_NAME];
    const records = await Promise.all(names.map((name) => readRecord(join(this.blobs.root, name))));
    return records.filter((record) => record !== undefined);
  }

  /** The files in DIR that are ours to replace. */
  private async earlierFiles(): Promise<Set<string>> {
    const records = await this.records();
    return new Set(records.flatMap((record) => record.files.map(({ path }) => path)));
  }

  /** Checks that a path can be placed: its parents are real directories, and it is free or ours. */
  private async requireRoom(path: string, ours: ReadonlySet<string>): Promise<void> {
    const there = await lookAt(join(this.path, path));
    const isFree = !there || (ours.has(path) && !there.isDirectory());
    const inTheWay = (await this.obstacle(path)) ?? (isFree ? undefined : path);
    if (inTheWay === undefined) return;
    throw new Failure(
      "usage",
      `${JSON.stringify(join(this.path, inTheWay))} is in the way and wasn't placed by a pull: remove it, or choose another directory`,
    );
  }

  /** The first part of a path before its last that is there and isn't a real directory. */
  private async obstacle(path: string): Promise<string | undefined> {
    for (let slash = path.indexOf("/"); slash >= 0; slash = path.indexOf("/", slash + 1)) {
      const parent = path.slice(0, slash);
      const there = await lookAt(join(this.path, parent));
      if (there && !there.isDirectory()) return parent;
    }
    return undefined;
  }

  private async remove(path: string): Promise<void> {
    if ((await this.obstacle(path)) !== undefined) return;
    await rm(join(this.path, path), { force: true });
  }

  private async place(model: readonly ModelFile[]): Promise<void> {
    const uses = new Map<string, number>();
    for (const { source } of model) uses.set(source, (uses.get(source) ?? 0) + 1);
    const directories = new Set<string>([this.path]);
    for (const { path, source, origin } of model) {
      const target = join(this.path, path);
      await makeDirectory(dirname(target));
      directories.add(dirname(target));
      const left = (uses.get(source) ?? 1) - 1;
      uses.set(source, left);
      if (left > 0) {
        await rm(target, { force: true });
        await linkFile(source, target, "copy");
      } else {
        await rename(source, target);
      }
      // What the cache shares stays read-only; the rest is the user's.
      if (origin === "blob" && (await stat(target)).nlink === 1) await chmod(target, 0o644);
    }
    for (const directory of directories) await syncDirectory(directory);
  }
}

/** Whether a file of this size is there itself, and no symlink to one. */
async function isFileOf(path: string, size: number): Promise<boolean> {
  const there = await lookAt(path);
  return there?.isFile() === true && there.size === size;
}
