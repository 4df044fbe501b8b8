import { type FileHandle, open } from "node:fs/promises";
import { join } from "node:path";
import { writeFully } from "../../lib/durable.ts";
import { createHasher, type Digest, finishDigest } from "../../oci/digest.ts";
import { tooLarge } from "./refusal.ts";

/** The content of a file that was in an archive. */
export interface Content {
  /** Its file in the directory of the layer. */
  readonly number: number;
  /** Bytes. */
  readonly size: number;
  readonly digest: Digest;
}

/** Files whose data is on its way to the disk at a time. */
const MOST_SYNCING = 16;

/**
 * Writes what is in an archive to files that are called by numbers: until the whole artifact is
 * verified, no name of the archive's own reaches the file system.
 */
export class ContentFiles implements AsyncDisposable {
  private count = 0;
  private bytes = 0;
  private readonly syncing = new Set<Promise<void>>();

  /**
   * @param directory empty, and nobody else's
   * @param maxBytes what may be written here
   * @param source what the archive is, for messages
   */
  constructor(
    private readonly directory: string,
    private readonly maxBytes: number,
    private readonly source: string,
  ) {}

  /** Writes a file with mode 0644 or 0755. @throws {Failure} `content` when there is too much */
  async write(chunks: AsyncIterable<Uint8Array>, isExecutable: boolean): Promise<Content> {
    const number = this.count++;
    const mode = isExecutable ? 0o755 : 0o644;
    const hasher = createHasher("sha256");
    let size = 0;
    const handle = await open(join(this.directory, String(number)), "wx", mode);
    try {
      for await (const chunk of chunks) {
        this.spend(chunk.byteLength);
        hasher.update(chunk);
        await writeFully(handle, chunk, size);
        size += chunk.byteLength;
      }
      // Whatever the umask of the process is.
      await handle.chmod(mode);
    } catch (error) {
      await handle.close();
      throw error;
    }
    await this.sync(handle);
    return { number, size, digest: finishDigest("sha256", hasher) };
  }

  /** Counts bytes that will be written later, a copy of what is here. */
  spend(bytes: number): void {
    this.bytes += bytes;
    if (this.bytes <= this.maxBytes) return;
    throw tooLarge(this.source);
  }

  /** Returns when all data is on the disk. */
  async finish(): Promise<void> {
    await Promise.all(this.syncing);
  }

  /** Nothing is written any more when this returns, whatever went wrong. */
  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.allSettled(this.syncing);
  }

  private async sync(handle: FileHandle): Promise<void> {
    const done = handle
      .datasync()
      .finally(() => handle.close())
      .then(() => void this.syncing.delete(done));
    this.syncing.add(done);
    // What fails stays in the set, and is thrown by who waits for it.
    done.catch(() => {});
    if (this.syncing.size >= MOST_SYNCING) await Promise.race(this.syncing);
  }
}
