/**
 * Upload sessions: `_uploads/<id>/data` holds what arrived, and its size is the offset. The hash is
 * kept in memory while this process writes the session alone, and computed again from disk
 * otherwise.
 *
 * One writer at a time, over all processes: the file `writer` names the one that is writing. Who
 * finds another's name there takes over on a copy of the data, so that whatever the former still
 * writes goes to a file that nobody reads. Thus no file is ever written by two processes at once.
 */
import { constants, type Stats } from "node:fs";
import { copyFile, type FileHandle, mkdir, open, rename, rm, stat } from "node:fs/promises";
import { dirname } from "node:path";
import { errorCode, isMissing, makeDirectory, writeFully } from "../../lib/durable.ts";
import { KeyedLock } from "../../lib/lock.ts";
import {
  algorithmOf,
  createHasher,
  type Digest,
  finishDigest,
  type Hasher,
} from "../../oci/digest.ts";
import { StorageError, UploadOffsetError } from "../errors.ts";
import type { AppendOptions, BlobContent, UploadManager, UploadStatus } from "../store.ts";
import type { FilesystemBlobs } from "./blobs.ts";
import type { Layout } from "./layout.ts";
import { writeLink } from "./links.ts";
import { type Session, Sessions } from "./sessions.ts";
import { Writer } from "./writer.ts";

/** Bytes that are read at once. */
const readSize = 1024 * 1024;

export class FilesystemUploads implements UploadManager {
  private readonly sessions = new Sessions();
  private readonly entering = new KeyedLock();
  private readonly writer = new Writer();

  constructor(
    private readonly layout: Layout,
    private readonly blobs: FilesystemBlobs,
  ) {}

  async createUpload(repository: string, algorithm = "sha256"): Promise<UploadStatus> {
    const hasher = createHasher(algorithm);
    const id = crypto.randomUUID();
    const directory = this.layout.upload(repository, id);
    await makeDirectory(dirname(directory));
    try {
      await mkdir(directory);
      await Bun.write(`${directory}/startedat`, new Date().toISOString());
      const handle = await open(`${directory}/data`, "wx");
      try {
        this.sessions.remember(id, {
          ...identityOf(await handle.stat()),
          algorithm,
          hasher,
          offset: 0,
          generation: 0,
          active: false,
          stale: false,
          writing: Promise.resolve(),
        });
      } finally {
        await handle.close();
      }
    } catch (error) {
      await this.forget(repository, id).catch(() => {});
      throw error;
    }
    return { id, offset: 0 };
  }

  async uploadStatus(repository: string, id: string): Promise<UploadStatus> {
    return { id, offset: (await this.dataStat(repository, id)).size };
  }

  async appendUpload(
    repository: string,
    id: string,
    body: AsyncIterable<Uint8Array>,
    { offset, length, digest }: AppendOptions = {},
  ): Promise<UploadStatus> {
    const directory = this.layout.upload(repository, id);
    const { session, generation } = await this.enter(repository, id, digest);
    const isCurrent = () => session.generation === generation;
    const start = session.offset;
    const handle = await orUnknown(id, open(`${directory}/data`, "r+"));
    try {
      if (offset !== undefined && offset !== start) throw new UploadOffsetError(id, start, offset);
      for await (const chunk of body) {
        if (!isCurrent()) throw fenced(id);
        if (length !== undefined && session.offset + chunk.byteLength - start > length) {
          throw wrongLength(length);
        }
        session.writing = write(session, handle, chunk);
        await session.writing;
      }
      if (!isCurrent() || !(await this.writer.holds(directory))) throw fenced(id);
      if (length !== undefined && session.offset - start !== length) throw wrongLength(length);
      return { id, offset: session.offset };
    } catch (error) {
      if (isCurrent() && isTakenBack(error)) {
        session.stale = true;
        await handle.truncate(start);
      }
      throw error;
    } finally {
      // A session that a newer request has taken over isn't this one's to tidy up.
      if (isCurrent()) {
        Object.assign(session, identityOf(await handle.stat()), { active: false });
        await this.writer.release(directory);
      }
      await handle.close();
    }
  }

  async completeUpload(repository: string, id: string, digest: Digest): Promise<BlobContent> {
    const data = `${this.layout.upload(repository, id)}/data`;
    const verified = this.layout.temporaryPath();
    // Before anybody else may enter: who opened the data then would write into the blob.
    const { session } = await this.enter(repository, id, digest, () => rename(data, verified));
    const handle = await open(verified, "r");
    try {
      // Had another process taken over just now, this would be its copy, which it may still write.
      if ((await handle.stat()).ino !== session.inode) {
        await rename(verified, data);
        throw fenced(id);
      }
      const algorithm = algorithmOf(digest);
      const hasher =
        session.algorithm === algorithm ? session.hasher : await hashFile(handle, algorithm);
      const actual = finishDigest(algorithm, hasher);
      if (actual !== digest) {
        await this.forget(repository, id);
        throw new StorageError(
          "DIGEST_INVALID",
          `the ${session.offset} bytes uploaded hash to ${actual}, not to ${digest}`,
        );
      }
      await handle.datasync();
      await this.blobs.adopt(verified, digest);
    } finally {
      await handle.close();
      await rm(verified, { force: true });
    }
    await writeLink(this.layout, this.layout.layerLink(repository, digest), digest);
    await this.forget(repository, id);
    return { kind: "file", digest, path: this.layout.blobData(digest), size: session.offset };
  }

  async cancelUpload(repository: string, id: string): Promise<void> {
    await this.enter(repository, id);
    await this.forget(repository, id);
  }

  private async forget(repository: string, id: string): Promise<void> {
    this.sessions.delete(id);
    await rm(this.layout.upload(repository, id), { recursive: true, force: true });
  }

  /** Stops an append that hasn't ended, then takes the session over from whoever wrote it. */
  private enter(
    repository: string,
    id: string,
    digest?: Digest,
    then: () => Promise<void> = async () => {},
  ): Promise<{ session: Session; generation: number }> {
    const entry = this.entering.run(id, async () => {
      await this.dataStat(repository, id);
      const former = this.sessions.get(id);
      if (former) {
        former.generation += 1;
        await former.writing.catch(() => {});
      }
      const session = await this.takeOver(repository, id, digest);
      await then();
      session.active = true;
      return { session, generation: session.generation };
    });
    return orUnknown(id, entry);
  }

  /** Makes this process the only writer, and its hash that of what is on disk. */
  private async takeOver(
    repository: string,
    id: string,
    digest: Digest | undefined,
  ): Promise<Session> {
    const directory = this.layout.upload(repository, id);
    const data = `${directory}/data`;
    const former = await this.writer.claim(directory);
    if (former !== undefined) {
      const copy = `${directory}/${crypto.randomUUID()}`;
      await copyFile(data, copy, constants.COPYFILE_FICLONE);
      await rename(copy, data);
    }
    const { size, ino, mtimeMs } = await this.dataStat(repository, id);
    const known = this.sessions.get(id);
    const wanted = digest === undefined ? undefined : algorithmOf(digest);
    if (
      known?.stale === false &&
      known.inode === ino &&
      known.modified === mtimeMs &&
      known.offset === size &&
      (size > 0 || wanted === undefined || known.algorithm === wanted)
    ) {
      return known;
    }
    const algorithm = wanted ?? known?.algorithm ?? "sha256";
    const handle = await open(data, "r");
    try {
      const session: Session = {
        algorithm,
        hasher: await hashFile(handle, algorithm),
        offset: size,
        inode: ino,
        modified: mtimeMs,
        generation: known?.generation ?? 0,
        active: true,
        stale: false,
        writing: Promise.resolve(),
      };
      this.sessions.remember(id, session);
      return session;
    } finally {
      await handle.close();
    }
  }

  private async dataStat(repository: string, id: string): Promise<Stats> {
    try {
      return await stat(`${this.layout.upload(repository, id)}/data`);
    } catch (error) {
      if (isMissing(error)) throw unknown(id);
      throw error;
    }
  }
}

/** Appends a chunk, and hashes it while it is written. */
async function write(session: Session, handle: FileHandle, chunk: Uint8Array): Promise<void> {
  const written = writeFully(handle, chunk, session.offset);
  session.hasher.update(chunk);
  try {
    await written;
  } catch (error) {
    // The hash is ahead of the file now: whoever goes on computes it again.
    session.stale = true;
    throw error;
  }
  session.offset += chunk.byteLength;
}

/** Whether what has arrived of a chunk goes: on a full disk it would keep the room from all others. */
function isTakenBack(error: unknown): boolean {
  const isTooLong = error instanceof StorageError && error.code === "SIZE_INVALID";
  return isTooLong || errorCode(error) === "ENOSPC" || errorCode(error) === "EDQUOT";
}

/** A session whose files vanish meanwhile was finished or cancelled by another request. */
async function orUnknown<T>(id: string, work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    if (isMissing(error)) throw unknown(id);
    throw error;
  }
}

async function hashFile(handle: FileHandle, algorithm: string): Promise<Hasher> {
  const hasher = createHasher(algorithm);
  const buffer = new Uint8Array(readSize);
  for (let position = 0; ; ) {
    const { bytesRead } = await handle.read(buffer, 0, readSize, position);
    if (bytesRead === 0) return hasher;
    hasher.update(buffer.subarray(0, bytesRead));
    position += bytesRead;
  }
}

function identityOf({ ino, mtimeMs }: Stats): Pick<Session, "inode" | "modified"> {
  return { inode: ino, modified: mtimeMs };
}

function unknown(id: string): StorageError {
  return new StorageError("BLOB_UPLOAD_UNKNOWN", `no upload session ${id}`);
}

function fenced(id: string): StorageError {
  return new StorageError(
    "BLOB_UPLOAD_INVALID",
    `a newer request has taken over upload session ${id}`,
  );
}

function wrongLength(length: number): StorageError {
  return new StorageError(
    "SIZE_INVALID",
    `the chunk isn't the ${length} bytes that were announced`,
  );
}
