/** The `models/` of a container image: its layers, applied one upon the other. */
import { Failure } from "../../lib/failure.ts";
import { quoted } from "../../lib/one-line.ts";
import { checkedFilePath, MAX_DEPTH } from "../../model/path.ts";
import type { Content } from "./content-files.ts";
import { MODEL_FOLDER } from "./image-layer.ts";
import type { ImageEntry, UnpackedLayer } from "./layer.ts";
import { refused } from "./refusal.ts";

/** A file of the image as the topmost layer shows it. */
export interface ImageFile extends Content {
  /** Relative to `models/`, checked. */
  readonly path: string;
  /** Of the layer that has the content. */
  readonly directory: string;
}

type Node = RealNode | SymlinkNode;
/** What a link may lead to at last. */
type RealNode = FileNode | DirectoryNode;
interface FileNode {
  readonly kind: "file";
  readonly content: Content;
  readonly layer: UnpackedLayer;
}
interface SymlinkNode {
  readonly kind: "symlink";
  readonly target: string;
  readonly layer: UnpackedLayer;
}
interface DirectoryNode {
  readonly kind: "directory";
  readonly children: Map<string, Node>;
}

/** Links in a row, as in Linux. */
const MOST_LINKS = 40;

/**
 * Applies layers bottom up and lists the files in `models/`. A link to a file is another name of its
 * content, a link to a directory shows the files in it; links that lead nowhere are left out.
 *
 * @param maxFiles most files to list: links to directories multiply them
 * @throws {Failure} `content` when there are no files, when links lead out of `models/` or in
 *   circles, and when something would be written through a link
 */
export function imageFiles(layers: readonly UnpackedLayer[], maxFiles: number): ImageFile[] {
  const root = newDirectory();
  for (const layer of layers) applyLayer(root, layer);
  const model = root.children.get(MODEL_FOLDER);
  const files = model?.kind === "directory" ? new Listing(root, maxFiles).of(model) : [];
  if (files.length === 0) {
    throw new Failure(
      "content",
      `the image has no files in /${MODEL_FOLDER}: it isn't a model that can be pulled`,
    );
  }
  return files;
}

function newDirectory(): DirectoryNode {
  return { kind: "directory", children: new Map() };
}

function applyLayer(root: DirectoryNode, layer: UnpackedLayer): void {
  // They hide what is below the layer, wherever in it they stand.
  for (const entry of layer.entries) {
    if (entry.kind === "whiteout") {
      const { parent, name } = split(entry.path);
      lookUp(root, parent)?.children.delete(name);
    } else if (entry.kind === "opaque") {
      lookUp(root, entry.path)?.children.clear();
    }
  }
  for (const entry of layer.entries) applyEntry(root, entry, layer);
}

function applyEntry(root: DirectoryNode, entry: ImageEntry, layer: UnpackedLayer): void {
  if (entry.kind === "whiteout" || entry.kind === "opaque") return;
  const { parent, name } = split(entry.path);
  const { children } = makeDirectory(root, parent, layer);
  switch (entry.kind) {
    case "directory":
      if (children.get(name)?.kind !== "directory") children.set(name, newDirectory());
      return;
    case "file":
      children.set(name, { kind: "file", content: entry, layer });
      return;
    case "symlink":
      children.set(name, { kind: "symlink", target: entry.target, layer });
      return;
    case "hardlink": {
      const target = split(entry.target);
      const node = lookUp(root, target.parent)?.children.get(target.name);
      if (node?.kind !== "file") {
        throw refused(
          layer.source,
          `the hard link ${quoted(entry.path)} leads to ${quoted(entry.target)}, which is no file in ${MODEL_FOLDER}/`,
        );
      }
      children.set(name, node);
    }
  }
}

/** The directory at a path; through links it isn't found. */
function lookUp(root: DirectoryNode, path: string): DirectoryNode | undefined {
  let directory = root;
  for (const name of components(path)) {
    const child = directory.children.get(name);
    if (child?.kind !== "directory") return undefined;
    directory = child;
  }
  return directory;
}

/** The same, with the directories that are missing on the way. */
function makeDirectory(
  root: DirectoryNode,
  path: string,
  { source }: UnpackedLayer,
): DirectoryNode {
  let directory = root;
  for (const name of components(path)) {
    let child = directory.children.get(name);
    if (child && child.kind !== "directory") {
      throw refused(source, `it has something in ${quoted(path)}, which is a ${child.kind}`);
    }
    if (!child) {
      child = newDirectory();
      directory.children.set(name, child);
    }
    directory = child;
  }
  return directory;
}

/** The files that are seen from `models/`. */
class Listing {
  private readonly files: ImageFile[] = [];
  /** Directories that are being listed, the outer ones first. */
  private readonly open: DirectoryNode[] = [];
  private visited = 0;
  /** Components of links that were followed. */
  private steps = 0;

  constructor(
    private readonly root: DirectoryNode,
    private readonly maxFiles: number,
  ) {}

  of(model: DirectoryNode): ImageFile[] {
    this.list(model, "", [model]);
    return this.files;
  }

  /**
   * @param shown the path under which it is seen, relative to `models/`
   * @param real where it is: the directories below the image's root that lead there, and itself
   */
  private list(directory: DirectoryNode, shown: string, real: readonly RealNode[]): void {
    this.open.push(directory);
    if (this.open.length > MAX_DEPTH) throw tooDeep(shown);
    for (const [name, child] of directory.children) {
      const path = shown === "" ? name : `${shown}/${name}`;
      if (++this.visited > this.maxFiles) throw this.tooMany();
      if (child.kind === "symlink") this.addLink(child, path, real);
      else this.add(child, path, [...real, child]);
    }
    this.open.pop();
  }

  private add(node: RealNode, path: string, real: readonly RealNode[]): void {
    if (node.kind === "directory") {
      this.list(node, path, real);
      return;
    }
    const { content, layer } = node;
    const { number, size, digest } = content;
    const checked = checkedFilePath(path, layer.source);
    this.files.push({ path: checked, number, size, digest, directory: layer.directory });
  }

  private addLink(link: SymlinkNode, path: string, directory: readonly RealNode[]): void {
    const { source } = link.layer;
    const name = `the link ${quoted(path)} to ${quoted(link.target)}`;
    const found = this.follow(link, directory, name);
    if (!found) return;
    if (found.node.kind === "directory" && this.open.includes(found.node)) {
      throw refused(source, `${name} leads in a circle`);
    }
    this.add(found.node, path, found.real);
  }

  /** What a link leads to, and where that is; undefined when there is nothing. */
  private follow(
    link: SymlinkNode,
    directory: readonly RealNode[],
    name: string,
  ): { node: RealNode; real: readonly RealNode[] } | undefined {
    const { source } = link.layer;
    const todo = targetComponents(link.target);
    let real = link.target.startsWith("/") ? [] : [...directory];
    let links = 1;
    for (let next = todo.shift(); next !== undefined; next = todo.shift()) {
      if (++this.steps > this.maxFiles * MAX_DEPTH) throw this.tooMany();
      if (next === "..") {
        real.pop();
        continue;
      }
      if (real.length === 0 && next !== MODEL_FOLDER) {
        throw refused(source, `${name} leads out of ${MODEL_FOLDER}/`);
      }
      const parent = real.at(-1) ?? this.root;
      const child = parent.kind === "directory" ? parent.children.get(next) : undefined;
      if (!child) return undefined;
      if (child.kind === "symlink") {
        if (++links > MOST_LINKS) throw refused(source, `${name} leads in a circle`);
        todo.unshift(...targetComponents(child.target));
        if (child.target.startsWith("/")) real = [];
      } else {
        real.push(child);
      }
    }
    const node = real.at(-1);
    if (!node) throw refused(source, `${name} leads out of ${MODEL_FOLDER}/`);
    return { node, real };
  }

  private tooMany(): Failure {
    return new Failure(
      "content",
      `refused the image: with its links it shows more than ${this.maxFiles} files; if you trust it, raise --max-archive-entries`,
    );
  }
}

function tooDeep(path: string): Failure {
  return new Failure(
    "content",
    `refused the image: ${quoted(path)} is deeper than ${MAX_DEPTH} components`,
  );
}

/** Of where a symlink leads: `..` stays, because what it means depends on what came before. */
function targetComponents(target: string): string[] {
  return target.split("/").filter((component) => component !== "" && component !== ".");
}

function components(path: string): string[] {
  return path === "" ? [] : path.split("/");
}

function split(path: string): { parent: string; name: string } {
  const slash = path.lastIndexOf("/");
  return { parent: path.slice(0, Math.max(0, slash)), name: path.slice(slash + 1) };
}
