/**
 * Paths that come from outside: annotations, titles, archive entries, the values of a weight map.
 * Every one passes here before it touches a file system.
 */
import { Failure } from "../lib/failure.ts";

/** Components in a path. */
export const MAX_DEPTH = 32;
/** Bytes of UTF-8 in one component: what every file system takes. */
const MAX_COMPONENT = 255;
/** The folder in an output directory that is ours. */
export const RESERVED_DIRECTORY = ".ocireg";

/**
 * The path in its one clean form: relative, `/` between components, no `.` and no `..`. A leading
 * `./` and one trailing `/` are taken off; the root itself is the empty string.
 *
 * @param source what the path was found in, for the message
 * @throws {Failure} `content` for anything that could lead outside, or that file systems read in
 *   different ways: absolute paths, drives, backslashes, `..`, control characters, broken UTF-8,
 *   components over 255 bytes, more than 32 components
 */
export function checkedPath(text: string, source: string): string {
  const reject = (reason: string) =>
    new Failure("content", `refused the path ${quote(text)} of ${source}: ${reason}`);

  if (text === "") throw reject("it is empty");
  if (text.startsWith("/")) throw reject("it is absolute");
  if (text.includes("\\")) throw reject("it has a backslash");
  if (!isPlain(text)) {
    if (/\p{Cc}/u.test(text)) throw reject("it has a control character");
    // A decoder that met bytes which aren't UTF-8 leaves U+FFFD in their place.
    if (!text.isWellFormed() || text.includes("\ufffd")) throw reject("it isn't valid UTF-8");
  }
  if (/(?:^|\/)\.\.(?:\/|$)/.test(text)) throw reject('it has a ".." component');

  const path = text.replace(/^(?:\.\/+)+/, "").replace(/\/$/, "");
  if (path === "" || path === ".") return "";
  if (/^[A-Za-z]:/.test(path)) throw reject("it names a drive");
  const components = path.split("/");
  if (components.length > MAX_DEPTH) throw reject(`it is deeper than ${MAX_DEPTH} components`);
  for (const component of components) {
    if (component === "") throw reject("it has an empty component");
    if (component === ".") throw reject('it has a "." component');
    if (Buffer.byteLength(component) > MAX_COMPONENT) {
      throw reject(`it has a component longer than ${MAX_COMPONENT} bytes`);
    }
  }
  if (collisionKey(components[0] ?? "") === RESERVED_DIRECTORY) {
    throw reject(`${RESERVED_DIRECTORY} is where downloads are kept`);
  }
  return path;
}

/** {@link checkedPath} for a file, which the root can't be. */
export function checkedFilePath(text: string, source: string): string {
  const path = checkedPath(text, source);
  if (path === "" || text.endsWith("/")) {
    throw new Failure("content", `refused the path ${quote(text)} of ${source}: it names no file`);
  }
  return path;
}

/**
 * The paths of one directory tree as they are claimed, so that no two of them meet: not by case, not
 * by Unicode form, not by a file standing where another path needs a directory.
 */
export class PathSet {
  private readonly files = new Map<string, string>();
  private readonly directories = new Map<string, string>();

  /** @throws {Failure} `content` when the path collides with an earlier one */
  addFile(path: string, source: string): void {
    this.addParents(path, source);
    const key = collisionKey(path);
    const earlier = this.files.get(key) ?? this.directories.get(key);
    if (earlier !== undefined) throw collision(path, earlier, source);
    this.files.set(key, path);
  }

  /** @throws {Failure} `content` when a file, or a directory in other letters, is there */
  addDirectory(path: string, source: string): void {
    if (path === "") return;
    this.addParents(path, source);
    const key = collisionKey(path);
    const earlier = this.files.get(key) ?? this.directories.get(key);
    if (earlier !== undefined && (earlier !== path || this.files.has(key))) {
      throw collision(path, earlier, source);
    }
    this.directories.set(key, path);
  }

  private addParents(path: string, source: string): void {
    for (let slash = path.indexOf("/"); slash >= 0; slash = path.indexOf("/", slash + 1)) {
      const parent = path.slice(0, slash);
      const key = collisionKey(parent);
      const earlier = this.files.get(key) ?? this.directories.get(key);
      if (earlier !== undefined && (earlier !== parent || this.files.has(key))) {
        throw collision(path, earlier, source);
      }
      this.directories.set(key, parent);
    }
  }
}

/** Printable ASCII, as all but a few paths are: nothing in it needs a closer look. */
function isPlain(text: string): boolean {
  return /^[ -~]*$/.test(text);
}

/** What is equal for paths that some file system can't tell apart. */
function collisionKey(path: string): string {
  if (isPlain(path)) return path.toLowerCase();
  // Upper case first: it is what makes "ß" and "ss" one.
  return path.normalize("NFKC").toUpperCase().toLowerCase().normalize("NFKC");
}

function collision(path: string, earlier: string, source: string): Failure {
  return new Failure(
    "content",
    path === earlier
      ? `refused the path ${quote(path)} of ${source}: it is there already`
      : `refused the path ${quote(path)} of ${source}: it collides with ${quote(earlier)}`,
  );
}

function quote(text: string): string {
  return JSON.stringify(text.length > 200 ? `${text.slice(0, 200)}…` : text);
}
