/**
 * `--layout hf-cache`: a model in the cache of Hugging Face's hub, where `from_pretrained("org/name")`
 * finds it without a network.
 *
 * ```
 * <hub>/models--org--name/
 *   blobs/<hex>                content by its digest; the hub names large files by theirs too
 *   snapshots/<revision>/      symlinks to blobs; a revision is the first 40 digits of a manifest's digest
 *   refs/main                  the revision that was pulled last; refs/<tag> that of a tag
 *   .ocireg/                   ours: what a snapshot holds, and pulls that aren't finished
 * ```
 */
import { randomBytes } from "node:crypto";
import { mkdir, realpath, rename, rm, symlink } from "node:fs/promises";
import { homedir } from "node:os";
import { dirname, join, relative } from "node:path";
import { makeDirectory, syncDirectory, writeFileDurably } from "../lib/durable.ts";
import { Failure } from "../lib/failure.ts";
import { RESERVED_DIRECTORY } from "../model/path.ts";
import { type Digest, encodedOf } from "../oci/digest.ts";
import { blobsOf } from "../oci/partial.ts";
import { formatReference, type Reference } from "../oci/reference.ts";
import type { Artifact } from "./artifact.ts";
import { syncTree } from "./assemble.ts";
import { BlobDirectory, matches } from "./blobs.ts";
import { withLease } from "./lease.ts";
import { linkFile } from "./link.ts";
import {
  isIntact,
  type ModelRecord,
  RECORD_NAME,
  readRecord,
  sizeOf,
  writeRecord,
} from "./record.ts";
import { isOwnTree, lookAt, ownDirectory } from "./removal.ts";

/** Characters in the name of a model. */
const MAX_NAME = 96;

/** One model in a hub's cache. */
export class HubModel {
  private constructor(
    /** Absolute, without symlinks. */
    private readonly path: string,
    private readonly reference: Reference,
  ) {}

  /**
   * @param hub made when it isn't there
   * @throws {Failure} `usage` when the hub has no such names
   */
  static async open(hub: string, reference: Reference): Promise<HubModel> {
    const name = hubName(reference);
    await makeDirectory(hub);
    const path = join(await realpath(hub), `models--${name.replace("/", "--")}`);
    return new HubModel(path, reference);
  }

  /**
   * Makes a snapshot show an artifact, and the refs lead to it.
   *
   * @param pullInto pulls into a directory, as `--output` does
   * @returns what the snapshot holds, and its directory
   * @throws {Failure} `disk` when symlinks in the hub's cache lead out of where we would write
   */
  async show(
    { digest, manifest }: Artifact,
    pullInto: (directory: string) => Promise<void>,
    {
      verify,
      signal,
    }: { readonly verify?: boolean | undefined; readonly signal?: AbortSignal | undefined },
  ): Promise<{ readonly record: ModelRecord; readonly path: string }> {
    const revision = revisionOf(digest);
    await this.requireOwn(revision);
    let worked = false;
    const isDone = async () => worked || (!verify && (await this.read(digest))?.complete === true);
    const directory = join(this.own, "partial");
    const lease = { directory, name: `snapshot-${revision}`, isDone, signal };
    await withLease(lease, async (working) => {
      const flat = join(this.own, revision);
      await mkdir(flat, { recursive: true });
      await this.lend(blobsOf(manifest), new BlobDirectory(join(flat, RESERVED_DIRECTORY)), signal);
      await pullInto(flat);
      const record = await readRecord(join(flat, RESERVED_DIRECTORY, RECORD_NAME));
      if (!record) throw missing(flat);
      await this.adopt(flat, record, working);
      await writeRecord(this.recordPath(digest), merged(record, await this.read(digest)));
      await rm(flat, { recursive: true, force: true });
      worked = true;
    });
    for (const ref of new Set(["main", this.reference.tag ?? "main"]))
      await this.point(ref, revision);
    const record = await this.read(digest);
    if (!record) throw missing(this.snapshot(revision));
    return { record, path: this.snapshot(revision) };
  }

  /** A hub's cache may have come from elsewhere; where the model's directory lies is its owner's choice. */
  private async requireOwn(revision: string): Promise<void> {
    const ours = ["partial", revision].map((name) => [RESERVED_DIRECTORY, name]);
    for (const parts of [["blobs"], ["refs"], ...ours]) await ownDirectory(this.path, ...parts);
    const snapshot = await ownDirectory(this.path, "snapshots", revision);
    if (snapshot === undefined || (await isOwnTree(snapshot))) return;
    throw new Failure(
      "disk",
      `the snapshot ${JSON.stringify(snapshot)} has a symlink to a directory in it: remove that`,
    );
  }

  /** What a snapshot holds, when all of it is there. */
  private async read(digest: Digest): Promise<ModelRecord | undefined> {
    const record = await readRecord(this.recordPath(digest));
    const isThere = record && (await isIntact(record, this.snapshot(revisionOf(digest))));
    return isThere ? record : undefined;
  }

  private get own(): string {
    return join(this.path, RESERVED_DIRECTORY);
  }

  private recordPath(digest: Digest): string {
    return join(this.own, `${revisionOf(digest)}.json`);
  }

  private snapshot(revision: string): string {
    return join(this.path, "snapshots", revision);
  }

  private blob(digest: Digest): string {
    return join(this.path, "blobs", encodedOf(digest));
  }

  /** Gives a pull what the hub's cache has already, from other revisions or from the hub itself. */
  private async lend(
    wanted: ReturnType<typeof blobsOf>,
    blobs: BlobDirectory,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    await makeDirectory(blobs.partial);
    for (const { digest, size } of wanted) {
      const path = this.blob(digest);
      if ((await sizeOf(path)) !== size || (await blobs.has({ digest, size }))) continue;
      if (!(await matches(path, digest, signal))) continue;
      await blobs.take(digest, path, join(blobs.partial, `hub.${randomBytes(8).toString("hex")}`));
    }
  }

  /** Moves the files of a directory to where the hub has them. */
  private async adopt(
    flat: string,
    { digest, files }: ModelRecord,
    working: string,
  ): Promise<void> {
    const snapshot = this.snapshot(revisionOf(digest));
    const isNew = (await lookAt(snapshot)) === undefined;
    const root = isNew ? working : snapshot;
    await makeDirectory(join(this.path, "blobs"));
    await makeDirectory(dirname(snapshot));
    await mkdir(root, { recursive: true });
    for (const file of files) {
      const blob = this.blob(file.digest);
      const temporary = join(this.own, "partial", `blob.${randomBytes(8).toString("hex")}`);
      await linkFile(join(flat, file.path), temporary, "copy");
      await rename(temporary, blob);
      // Two names of one file are left as they are.
      await rm(temporary, { force: true });
      const shown = join(root, file.path);
      await mkdir(dirname(shown), { recursive: true });
      await rm(shown, { force: true });
      await symlink(relative(dirname(join(snapshot, file.path)), blob), shown);
    }
    await syncDirectory(join(this.path, "blobs"));
    await syncTree(root);
    if (!isNew) return;
    await rename(working, snapshot);
    await syncDirectory(dirname(snapshot));
  }

  private async point(ref: string, revision: string): Promise<void> {
    const path = join(this.path, "refs", ref);
    await makeDirectory(dirname(path));
    const temporary = join(this.own, "partial", `ref.${randomBytes(8).toString("hex")}`);
    await makeDirectory(dirname(temporary));
    // Without a line feed: that is how the hub reads it.
    await writeFileDurably(path, revision, temporary);
  }
}

/** Somebody removed what was just pulled. */
function missing(directory: string): Failure {
  return new Failure(
    "disk",
    `the files in ${JSON.stringify(directory)} are gone again: pull once more`,
  );
}

/** What looks like a commit to the hub's own code. */
function revisionOf(digest: Digest): string {
  return encodedOf(digest).slice(0, 40);
}

function merged(record: ModelRecord, old: ModelRecord | undefined): ModelRecord {
  if (!old) return record;
  const files = new Map([...old.files, ...record.files].map((file) => [file.path, file]));
  return {
    ...record,
    complete: record.complete || old.complete,
    layers: [...new Set([...old.layers, ...record.layers])],
    files: [...files.values()],
  };
}

/**
 * What a reference is called at the hub: the last two parts of its repository, as `org/name`, or its
 * only one.
 *
 * @throws {Failure} `usage` when the hub allows no such name
 */
export function hubName(reference: Reference): string {
  const { registry, repository } = reference;
  const familiar = registry === "docker.io" ? repository.replace(/^library\//, "") : repository;
  const name = familiar.split("/").slice(-2).join("/");
  const isValid =
    /^[\w.-]+(?:\/[\w.-]+)?$/.test(name) && !/--|\.\.|(?:^|\/)[-.]|[-.](?:\/|$)/.test(name);
  if (isValid && name.length <= MAX_NAME && !name.endsWith(".git")) return name;
  throw new Failure(
    "usage",
    `${formatReference(reference)} can't be put into a hub's cache: ${JSON.stringify(name)} is no name that Hugging Face allows`,
  );
}

/** Where Hugging Face's libraries look: `HF_HUB_CACHE`, else `hub` in `HF_HOME`. */
export function defaultHub(env: Readonly<Record<string, string | undefined>>): string {
  const hub = env["HF_HUB_CACHE"] || env["HUGGINGFACE_HUB_CACHE"];
  if (hub) return hub;
  const cacheHome = env["XDG_CACHE_HOME"] || join(env["HOME"] || homedir(), ".cache");
  return join(env["HF_HOME"] || join(cacheHome, "huggingface"), "hub");
}
