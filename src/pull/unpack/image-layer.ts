import type { ParsedTarEntry } from "modern-tar";
import { quoted } from "../../lib/one-line.ts";
import { checkedPath, PathSet } from "../../model/path.ts";
import type { ContentFiles } from "./content-files.ts";
import type { ImageEntry } from "./layer.ts";
import { refused } from "./refusal.ts";

/** The folder of an image in which a model lies. */
export const MODEL_FOLDER = "models";

const WHITEOUT = ".wh.";
const OPAQUE = ".wh..wh..opq";
/** Characters of where a link leads, as in Linux. */
const MAX_TARGET = 4096;
/** What a file system noted for itself. */
const RESERVED = ".wh..wh.";

/**
 * Reads one layer of a container image (image-spec, layer.md). Only files in `models/` are written;
 * devices are left out; what links mean shows when the layers are put together.
 */
export class ImageLayerReader {
  readonly entries: ImageEntry[] = [];
  private readonly paths = new PathSet();

  constructor(
    private readonly contents: ContentFiles,
    private readonly source: string,
  ) {}

  /** @throws {Failure} `content` for hostile paths, and paths that collide within the layer */
  async add({ header, body }: ParsedTarEntry): Promise<void> {
    const { source } = this;
    const name = imageName(header.name, source);
    if (this.addWhiteout(name)) return;
    // The rest of an image isn't the model's: nothing is asked of its names.
    if (name !== MODEL_FOLDER && !name.startsWith(`${MODEL_FOLDER}/`)) return;
    const path = checkedPath(name, source);
    const target = header.linkname ?? "";
    if (target.length > MAX_TARGET) {
      throw refused(source, `the link ${quoted(path)} has ${target.length} characters`);
    }
    switch (header.type) {
      case "directory":
        this.paths.addDirectory(path, source);
        this.entries.push({ kind: "directory", path });
        return;
      case "file": {
        this.paths.addFile(path, source);
        const isExecutable = Boolean((header.mode ?? 0) & 0o100);
        const content = await this.contents.write(body, isExecutable);
        this.entries.push({ kind: "file", path, ...content });
        return;
      }
      case "symlink":
        this.paths.addFile(path, source);
        this.entries.push({ kind: "symlink", path, target });
        return;
      case "link":
        this.paths.addFile(path, source);
        this.entries.push({ kind: "hardlink", path, target: imageName(target, source) });
        return;
    }
  }

  /** Whether the name is that of a whiteout, or of something else that isn't a file. */
  private addWhiteout(name: string): boolean {
    const slash = name.lastIndexOf("/");
    const parent = name.slice(0, Math.max(0, slash));
    const base = name.slice(slash + 1);
    if (!base.startsWith(WHITEOUT)) return false;
    const isOurs = parent === "" || `${parent}/`.startsWith(`${MODEL_FOLDER}/`);
    if (!isOurs || (base !== OPAQUE && base.startsWith(RESERVED))) return true;
    const hidden = base.slice(WHITEOUT.length);
    if (hidden === "" || hidden === "." || hidden === "..") {
      throw refused(this.source, `${quoted(name)} is a whiteout of nothing`);
    }
    if (base === OPAQUE) {
      const path = parent === "" ? "" : checkedPath(parent, this.source);
      this.entries.push({ kind: "opaque", path });
    } else if (parent !== "" || hidden === MODEL_FOLDER) {
      const path = checkedPath(parent === "" ? hidden : `${parent}/${hidden}`, this.source);
      this.entries.push({ kind: "whiteout", path });
    }
    return true;
  }
}

/** A name in an image as a path from its root: `/models/x` and `./models/x` are `models/x`. */
function imageName(name: string, source: string): string {
  if (/(?:^|\/)\.\.(?:\/|$)/.test(name)) {
    throw refused(source, `the path ${quoted(name)} has a ".." component`);
  }
  return name.replace(/^(?:\.?\/+)+/, "").replace(/\/$/, "");
}
