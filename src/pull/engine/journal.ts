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
import { type FileHandle, open, readFile } from "node:fs/promises";
import { isMissing, writeFileDurably, writeFully } from "../../lib/durable.ts";
import { type Extent, Extents } from "./extents.ts";

/** Far more than a journal ever holds. */
const MAX_SIZE = 256 * 1024 * 1024;

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
    return new Journal(await open(path, "r+"), content.byteLength);
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
  let text: string;
  try {
    text = await readFile(path, "latin1");
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
  const [head, ...lines] = text.slice(0, MAX_SIZE).split("\n").map(checked);
  if (head?.[0] !== "blob" || Number(head[1]) !== size) return undefined;
  const content = { written: new Extents(), synced: new Extents() };
  for (const [entry, from, to] of lines.filter((words) => words !== undefined)) {
    const [start, end] = [Number(from), Number(to)];
    if (!Number.isSafeInteger(start) || !Number.isSafeInteger(end)) continue;
    if (start < 0 || start >= end || end > size) continue;
    if (entry === "synced") content.synced.add(start, end);
    if (entry === "synced" || (entry === "written" && head[2] === boot)) {
      content.written.add(start, end);
    }
  }
  return content;
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
