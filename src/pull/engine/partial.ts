/** An unfinished blob on disk: a sparse file as long as the blob, and the journal beside it. */
import { constants } from "node:fs";
import { type FileHandle, open, rm } from "node:fs/promises";
import { openRegularFile } from "../../lib/regular-file.ts";
import { thisProcess } from "../machine.ts";
import { Extents } from "./extents.ts";
import { Journal, type JournalContent, readJournal } from "./journal.ts";

/** Bytes below which a blob is fetched again rather than kept track of. */
const MIN_JOURNALED = 2 * 1024 * 1024;
/** Bytes that a kill may cost: one line for each few of them would make the journal the larger file. */
const NOTE_INTERVAL = 256 * 1024;
/** Bytes that a power cut may cost. */
const SYNC_INTERVAL = 256 * 1024 * 1024;

export class PartialBlob {
  /** What is in the file, as far as this process and those before it know. */
  written: Extents;
  #synced: Extents;
  #journal: Journal | undefined;
  #unnoted = new Extents();
  #unsynced = 0;
  #syncing: Promise<void> | undefined;
  #isSealed = false;

  private constructor(
    readonly path: string,
    readonly size: number,
    private readonly handle: FileHandle,
    content: JournalContent | undefined,
  ) {
    this.written = content?.written ?? new Extents();
    this.#synced = content?.synced ?? new Extents();
  }

  /** Opens what an earlier run left at `path`, or begins anew. */
  static async open(path: string, size: number): Promise<PartialBlob> {
    const { boot } = await thisProcess();
    const handle = (await openLeft(path)) ?? (await create(path));
    try {
      const isLeft = (await handle.stat()).size === size;
      const content = isLeft ? await readJournal(journalPath(path), size, boot) : undefined;
      const partial = new PartialBlob(path, size, handle, content);
      if (!content) {
        await handle.truncate(0);
        await rm(journalPath(path), { recursive: true, force: true });
      }
      await handle.truncate(size);
      await partial.#startJournal();
      return partial;
    } catch (error) {
      await handle.close();
      throw error;
    }
  }

  /** Notes that the bytes from `start` up to `end` are in the file. */
  note(start: number, end: number): void {
    this.written.add(start, end);
    this.#unnoted.add(start, end);
    if (this.#unnoted.total >= NOTE_INTERVAL) this.#noteWritten();
    this.#unsynced += end - start;
    if (this.#journal && this.#unsynced >= SYNC_INTERVAL) {
      this.#syncing ??= this.#sync();
      this.#syncing.catch(() => {});
    }
  }

  /** Forgets everything. Nobody may be writing. */
  async discard(): Promise<void> {
    await this.#closeJournal();
    await rm(journalPath(this.path), { force: true });
    this.written = new Extents();
    this.#synced = new Extents();
    await this.handle.truncate(0);
    await this.handle.truncate(this.size);
    await this.#startJournal();
  }

  /** Makes the complete, verified file durable, and read-only. */
  async seal(): Promise<void> {
    // It is about to go: that it couldn't be written harms nobody.
    await this.#closeJournal().catch(() => {});
    await this.handle.chmod(0o444);
    await this.handle.datasync();
    await rm(journalPath(this.path), { force: true });
    this.#isSealed = true;
  }

  /** Lets go of it; what is there stays, if it is of any use. */
  async close(): Promise<void> {
    const isUseless = this.written.isEmpty && !this.#isSealed;
    await this.#closeJournal();
    await this.handle.close();
    if (!isUseless) return;
    await rm(this.path, { force: true });
    await rm(journalPath(this.path), { force: true });
  }

  async #startJournal(): Promise<void> {
    this.#unsynced = 0;
    if (this.size < MIN_JOURNALED) return;
    const { boot } = await thisProcess();
    const content = { written: this.written, synced: this.#synced };
    this.#journal = await Journal.create(journalPath(this.path), this.size, boot, content);
  }

  #noteWritten(): void {
    for (const extent of this.#unnoted) this.#journal?.note("written", extent);
    this.#unnoted = new Extents();
  }

  async #closeJournal(): Promise<void> {
    this.#noteWritten();
    const journal = this.#journal;
    this.#journal = undefined;
    await this.#syncing?.catch(() => {});
    await journal?.close();
  }

  async #sync(): Promise<void> {
    const journal = this.#journal;
    const extents = [...this.written];
    this.#unsynced = 0;
    try {
      await this.handle.datasync();
      for (const extent of extents) journal?.note("synced", extent);
      await journal?.sync();
    } finally {
      this.#syncing = undefined;
    }
  }
}

/** What an earlier run left; undefined where that isn't a file that is there for this alone. */
async function openLeft(path: string): Promise<FileHandle | undefined> {
  const handle = await openRegularFile(path, constants.O_RDWR);
  if (!handle || (await handle.stat()).nlink <= 1) return handle;
  // Under its other name, somebody else would lose it.
  await handle.close();
  return undefined;
}

/** An empty file, in place of whatever is there. */
async function create(path: string): Promise<FileHandle> {
  await rm(path, { recursive: true, force: true });
  return open(path, constants.O_RDWR | constants.O_CREAT | constants.O_EXCL, 0o644);
}

function journalPath(path: string): string {
  return `${path}.journal`;
}
