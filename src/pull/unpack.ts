/**
 * Unpacks the tar archives of artifacts, which come from strangers, into a fresh directory: nothing
 * is ever written outside it, over something, or through a link.
 */
import { chmod, mkdir, open } from "node:fs/promises";
import { dirname, join } from "node:path";
import { createTarDecoder, type ParsedTarEntry, type TarHeader } from "modern-tar";
import { errorCode, writeFully } from "../lib/durable.ts";
import { Failure } from "../lib/failure.ts";
import { checkedFilePath, checkedPath, PathSet } from "../model/path.ts";
import { createHasher, type Digest, finishDigest } from "../oci/digest.ts";
import { guardTar } from "./tar-guard.ts";

export interface UnpackOptions {
  /** What the archive is, for messages. */
  readonly source: string;
  /** Most bytes to write. @default ten times the archive: hard links are written as copies */
  readonly maxBytes?: number;
  /** Most entries. @default 100_000 */
  readonly maxEntries?: number;
  readonly signal?: AbortSignal | undefined;
}

export interface UnpackedFile {
  /** Relative to the directory. */
  readonly path: string;
  /** Bytes. */
  readonly size: number;
  readonly digest: Digest;
}

/**
 * Unpacks `archive` into `directory`, which must be empty and nobody else's. Files get mode 0644, or
 * 0755 when they are executable; owners, times, special bits and attributes are dropped. File
 * contents are synced, directories aren't.
 *
 * @throws {Failure} `content` for links, devices, sparse files, paths that {@link checkedPath}
 *   refuses or that collide, more bytes or entries than allowed, and malformed or cut archives
 */
export async function unpackTar(
  archive: string,
  directory: string,
  options: UnpackOptions,
): Promise<UnpackedFile[]> {
  const file = Bun.file(archive);
  const unpacker = new Unpacker(directory, {
    maxBytes: file.size * 10,
    maxEntries: 100_000,
    ...options,
  });
  const entries = file
    .stream()
    .pipeThrough(guardTar(options.source))
    .pipeThrough(createTarDecoder({ strict: true }));
  try {
    for await (const entry of entries) {
      options.signal?.throwIfAborted();
      await unpacker.add(entry);
    }
  } catch (error) {
    // The library's own errors are plain ones; those of the system have a code.
    if (error instanceof Failure || errorCode(error) !== undefined || options.signal?.aborted) {
      throw error;
    }
    const reason = error instanceof Error ? error.message : String(error);
    throw new Failure("content", `the archive ${options.source} is malformed: ${reason}`, {
      cause: error,
    });
  }
  return [...unpacker.files.values()];
}

class Unpacker {
  readonly files = new Map<string, UnpackedFile>();
  private readonly paths = new PathSet();
  /** Directories that were made here, so that none of them is a link. */
  private readonly directories = new Set<string>([""]);
  private entries = 0;
  private bytes = 0;

  constructor(
    private readonly root: string,
    private readonly options: Required<Omit<UnpackOptions, "signal">>,
  ) {}

  async add({ header, body }: ParsedTarEntry): Promise<void> {
    if (++this.entries > this.options.maxEntries) {
      throw this.refused(`it has more than ${this.options.maxEntries} entries`);
    }
    const { source } = this.options;
    switch (header.type) {
      case "directory": {
        const path = checkedPath(header.name, source);
        this.paths.addDirectory(path, source);
        await this.makeDirectory(path);
        return;
      }
      case "file": {
        const path = checkedFilePath(header.name, source);
        this.paths.addFile(path, source);
        await this.writeFile(path, header, body);
        return;
      }
      case "link": {
        const path = checkedFilePath(header.name, source);
        const target = this.files.get(checkedFilePath(header.linkname ?? "", source));
        if (!target) throw this.refused(`the hard link ${quote(path)} leads to no file before it`);
        this.paths.addFile(path, source);
        await this.writeFile(path, header, Bun.file(join(this.root, target.path)).stream());
        return;
      }
      default:
        throw this.refused(`${quote(header.name)} is a ${header.type}`);
    }
  }

  private async writeFile(
    path: string,
    header: TarHeader,
    content: AsyncIterable<Uint8Array>,
  ): Promise<void> {
    await this.makeDirectory(parentOf(path));
    const mode = (header.mode ?? 0) & 0o100 ? 0o755 : 0o644;
    const hasher = createHasher("sha256");
    let size = 0;
    const handle = await open(join(this.root, path), "wx", mode);
    try {
      for await (const chunk of content) {
        this.bytes += chunk.byteLength;
        if (this.bytes > this.options.maxBytes) {
          throw this.refused(`it unpacks to more than ${this.options.maxBytes} bytes`);
        }
        hasher.update(chunk);
        await writeFully(handle, chunk, size);
        size += chunk.byteLength;
      }
      // Whatever the umask of the process is.
      await handle.chmod(mode);
      await handle.datasync();
    } finally {
      await handle.close();
    }
    this.files.set(path, { path, size, digest: finishDigest("sha256", hasher) });
  }

  private async makeDirectory(path: string): Promise<void> {
    if (this.directories.has(path)) return;
    await this.makeDirectory(parentOf(path));
    const directory = join(this.root, path);
    await mkdir(directory);
    await chmod(directory, 0o755);
    this.directories.add(path);
  }

  private refused(reason: string): Failure {
    return new Failure("content", `refused the archive ${this.options.source}: ${reason}`);
  }
}

function parentOf(path: string): string {
  const parent = dirname(path);
  return parent === "." ? "" : parent;
}

function quote(text: string): string {
  return JSON.stringify(text.length > 200 ? `${text.slice(0, 200)}…` : text);
}
