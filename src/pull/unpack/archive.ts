import type { ParsedTarEntry } from "modern-tar";
import { quoted } from "../../lib/one-line.ts";
import { checkedFilePath, checkedPath, PathSet } from "../../model/path.ts";
import type { Content, ContentFiles } from "./content-files.ts";
import type { FileEntry } from "./layer.ts";
import { refused } from "./refusal.ts";

/**
 * Reads the archive of an artifact: files, directories and hard links to files before them, and
 * nothing else. Directories leave no trace but those that files need.
 */
export class ArchiveReader {
  readonly entries: FileEntry[] = [];
  private readonly paths = new PathSet();
  private readonly files = new Map<string, Content>();

  /** @param within the folder in which every entry must lie */
  constructor(
    private readonly contents: ContentFiles,
    private readonly source: string,
    private readonly within?: string,
  ) {}

  /**
   * @throws {Failure} `content` for symlinks and devices, paths that {@link checkedPath} refuses,
   *   that collide or that lie outside `within`
   */
  async add({ header, body }: ParsedTarEntry): Promise<void> {
    const { source } = this;
    switch (header.type) {
      case "directory": {
        const path = checkedPath(header.name, source);
        this.requireWithin(path, true);
        this.paths.addDirectory(path, source);
        return;
      }
      case "file": {
        const path = this.claim(header.name);
        this.keep(path, await this.contents.write(body, Boolean((header.mode ?? 0) & 0o100)));
        return;
      }
      case "link": {
        const path = this.claim(header.name);
        const content = this.files.get(checkedFilePath(header.linkname ?? "", source));
        if (!content) {
          throw refused(source, `the hard link ${quoted(path)} leads to no file before it`);
        }
        this.contents.spend(content.size);
        this.keep(path, content);
        return;
      }
      default:
        throw refused(source, `${quoted(header.name)} is a ${header.type}`);
    }
  }

  private claim(name: string): string {
    const path = checkedFilePath(name, this.source);
    this.requireWithin(path, false);
    this.paths.addFile(path, this.source);
    return path;
  }

  private keep(path: string, content: Content): void {
    this.files.set(path, content);
    this.entries.push({ kind: "file", path, ...content });
  }

  private requireWithin(path: string, isDirectory: boolean): void {
    const { within } = this;
    if (within === undefined || path.startsWith(`${within}/`)) return;
    // The folder itself, and on the way to it its parents.
    const leadsThere = isDirectory && (path === "" || `${within}/`.startsWith(`${path}/`));
    if (!leadsThere) throw refused(this.source, `${quoted(path)} isn't in ${quoted(within)}`);
  }
}
