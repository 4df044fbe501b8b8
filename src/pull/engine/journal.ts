/**
 * What is on disk of an unfinished blob. A journal is a text file beside the data, of which only
 * whole lines with the right checksum count:
 *
 * ```
 * blob <size> <boot> <crc32>     first; what was written but not synced counts on this boot alone
 * written <start> <end> <crc32>
 * synced <start> <end> <crc32>   survives a power cut
 * ```
 *
 * Lost lines cost bytes that are fetched again. A line that shouldn't be there costs no more: the
 * digest of the whole tells.
 */
import { randomBytes } from "node:crypto";
import { constants, type FileHandle, open } from "node:fs/promises";
import { writeFileDurably, writeFully } from "../../lib/durable.ts";
import { openRegularFile } from "../../lib/regular-file.ts";
import { type Extent, Extents } from "./extents.ts";

/** Far more than a journal ever holds: bytes, characters of a line, extents that don't touch. */
const MAX_SIZE = 256 * 1024 * 1024;
const MAX_LINE = 1024;
const MAX_EXTENTS = 10_000;
/** Bytes that are read at a time. */
const READ = 256 * 1024;

export interface JournalContent {
  readonly written: Extents;
  readonly synced: Extents;
}

type Entry = "written" | "synced";

/** Opened for appending, after what still counts was written anew. */
export class Journal {
  readonly #handle: FileHandle;
  #position: number;
  #pending = "";
  #flushing: Promise<void> | undefined;

  private constructor(handle: FileHandle, position: number) {
    this.#handle = handle;
    this.#position = position;
  }

  static async create(
    path: string,
    size: number,
    boot: string,
    { written, synced }: JournalContent,
  ): Promise<Journal> {
    const lines = [
      line(`blob ${size} ${boot}`),
      ...Array.from(written, (extent) => entryLine("written", extent)),
      ...Array.from(synced, (extent) => entryLine("synced", extent)),
    ];
    const content = Buffer.from(lines.join(""));
    await writeFileDurably(path, content, `${path}.${randomBytes(4).toString("hex")}`);
    const handle = await open(path, constants.O_RDWR | constants.O_NOFOLLOW);
    return new Journal(handle, content.byteLength);
  }

  /** Notes an extent. Notes that come while one is being written go out together. */
  note(entry: Entry, extent: Extent): void {
    this.#pending += entryLine(entry, extent);
    this.#flushing ??= this.#flush();
    // Whoever closes hears of it.
    this.#flushing.catch(() => {});
  }

  async sync(): Promise<void> {
    await this.#flushing;
    await this.#handle.datasync();
  }

  /** @throws what went wrong when writing */
  async close(): Promise<void> {
    try {
      await this.#flushing;
    } finally {
      await this.#handle.close();
    }
  }

  async #flush(): Promise<void> {
    while (this.#pending !== "") {
      const bytes = Buffer.from(this.#pending);
      this.#pending = "";
      await writeFully(this.#handle, bytes, this.#position);
      this.#position += bytes.byteLength;
    }
    this.#flushing = undefined;
  }
}

/** What a journal says of a blob of `size` bytes; nothing, where there is none that can be used. */
export async function readJournal(
  path: string,
  size: number,
  boot: string,
): Promise<JournalContent | undefined> {
  const handle = await openRegularFile(path);
  if (!handle) return undefined;
  try {
    const reading = new Reading(size, boot);
    for await (const lines of linesOf(handle)) {
      for (const text of lines) reading.add(text);
      if (!reading.isUsable) return undefined;
    }
    return reading.content;
  } finally {
    await handle.close();
  }
}

/** The lines of a file, many at a time. It ends early where it can't be a journal. */
async function* linesOf(handle: FileHandle): AsyncGenerator<string[]> {
  const buffer = Buffer.alloc(READ);
  let rest = "";
  for (let position = 0; position < MAX_SIZE && rest.length <= MAX_LINE; ) {
    const { bytesRead } = await handle.read(buffer, 0, READ, position);
    if (bytesRead === 0) break;
    position += bytesRead;
    const lines = (rest + buffer.toString("latin1", 0, bytesRead)).split("\n");
    rest = lines.pop() ?? "";
    yield lines;
  }
  yield [rest];
}

/** A journal as it is read, line by line. */
class Reading {
  readonly #written = new Extents();
  readonly #synced = new Extents();
  /** Whether what was only written counts; undefined before the first line. */
  #isSameBoot: boolean | undefined;
  #isOurs = true;

  constructor(
    private readonly size: number,
    private readonly boot: string,
  ) {}

  /** False for that of another blob, or one that nobody here wrote. */
  get isUsable(): boolean {
    return this.#isOurs && this.#written.count <= MAX_EXTENTS;
  }

  get content(): JournalContent | undefined {
    return this.isUsable ? { written: this.#written, synced: this.#synced } : undefined;
  }

  add(text: string): void {
    const words = checked(text);
    if (this.#isSameBoot === undefined) {
      this.#isOurs = words?.[0] === "blob" && Number(words[1]) === this.size;
      this.#isSameBoot = words?.[2] === this.boot;
      return;
    }
    const [entry, from, to] = words ?? [];
    const [start, end] = [Number(from), Number(to)];
    if (!Number.isSafeInteger(start) || !Number.isSafeInteger(end)) return;
    if (start < 0 || start >= end || end > this.size || !this.isUsable) return;
    if (entry === "synced") this.#synced.add(start, end);
    if (entry === "synced" || (entry === "written" && this.#isSameBoot)) {
      this.#written.add(start, end);
    }
  }
}

function entryLine(entry: Entry, { start, end }: Extent): string {
  return line(`${entry} ${start} ${end}`);
}

function line(text: string): string {
  return `${text} ${checksum(text)}\n`;
}

/** The words of a line, undefined where its checksum isn't right. */
function checked(text: string): string[] | undefined {
  const space = text.lastIndexOf(" ");
  const content = text.slice(0, space);
  return space > 0 && text.slice(space + 1) === checksum(content) ? content.split(" ") : undefined;
}

function checksum(text: string): string {
  return Bun.hash.crc32(text).toString(16).padStart(8, "0");
}
