/** What is in a tar archive, read from its headers alone: what lies between them is skipped. */
import { Failure } from "../lib/failure.ts";
import { checkedFilePath, PathSet } from "../model/path.ts";
import { paddedSize, parseTarHeader, paxRecords, TAR_BLOCK, text } from "../model/tar-header.ts";
import { readerWithin, readingAhead } from "./partial-readers.ts";
import type { RangeReader } from "./range-reader.ts";

export interface ListedFile {
  /** Relative to the archive's root, checked. */
  readonly path: string;
  /** Bytes. */
  readonly size: number;
  readonly content: RangeReader;
}

/** Bytes that are read at a time: the headers of small files lie close together. */
const STEP = 16 * 1024;
/** Bytes of a PAX header or a long name. */
const MAX_METADATA = 1024 * 1024;
/** An archive with more entries is one to fetch, not one to look into. */
const MAX_ENTRIES = 2000;

/**
 * Lists the files of an archive that isn't compressed.
 *
 * @param source what the archive is, for messages
 * @returns undefined when it has too many entries to look at each
 * @throws {Failure} `content` when it is malformed, or has paths that could lead outside
 */
export async function listTar(
  archive: RangeReader,
  source: string,
): Promise<ListedFile[] | undefined> {
  const reader = readingAhead(archive, STEP);
  const paths = new PathSet();
  const files = new Map<string, ListedFile>();
  let next: Corrections = {};
  let at = 0;
  for (let entries = 0; at < archive.size; entries++) {
    if (entries > MAX_ENTRIES) return undefined;
    const header = parseTarHeader(await reader.read(at, at + TAR_BLOCK), source);
    if (!header) break;
    const { type } = header;
    const isMetadata = "xgLK".includes(type);
    const size = isMetadata || !header.hasData ? header.size : (next.size ?? header.size);
    const start = at + TAR_BLOCK;
    at = start + paddedSize(size);
    if (at > archive.size) throw new Failure("content", `the archive ${source} is cut`);
    if (isMetadata) {
      if (size > MAX_METADATA) return undefined;
      if (type === "g") continue;
      next = { ...next, ...parse(type, await reader.read(start, start + size), source) };
      continue;
    }
    const { name = header.name, linkname = header.linkname } = next;
    next = {};
    const content =
      type === "1"
        ? files.get(checkedFilePath(linkname, source))?.content
        : readerWithin(archive, start, size);
    // What it is then is said by who unpacks it.
    if (!"017".includes(type) || !content) continue;
    const path = checkedFilePath(name, source);
    paths.addFile(path, source);
    files.set(path, { path, size: content.size, content });
  }
  return [...files.values()];
}

/** What a PAX header or a long GNU name says of the entry that follows. */
interface Corrections {
  readonly name?: string;
  readonly linkname?: string;
  readonly size?: number;
}

function parse(type: string, bytes: Uint8Array, source: string): Corrections {
  if (type === "L") return { name: text(bytes) };
  if (type === "K") return { linkname: text(bytes) };
  const found = paxRecords(bytes);
  if (!found) throw new Failure("content", `the archive ${source} has a malformed PAX header`);
  const records = new Map(found);
  const name = records.get("path");
  const linkname = records.get("linkpath");
  const size = records.get("size");
  if (size !== undefined && !/^\d{1,16}$/.test(size)) {
    throw new Failure("content", `the archive ${source} has an entry with an invalid size`);
  }
  return {
    ...(name !== undefined && { name }),
    ...(linkname !== undefined && { linkname }),
    ...(size !== undefined && { size: Number(size) }),
  };
}
