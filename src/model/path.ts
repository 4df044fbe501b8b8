/**
 * Paths that come from outside: annotations, titles, archive entries, the values of a weight map.
 * Every one passes here before it touches a file system.
 */
import { Failure } from "../lib/failure.ts";
import { quoted } from "../lib/one-line.ts";

/** Components in a path. */
export const MAX_DEPTH = 32;
/** Bytes of UTF-8 in one component: what every file system takes. */
const MAX_COMPONENT = 255;
/** Bytes of UTF-8 in a path: with the directory that it is put in, it is one that every system opens. */
const MAX_PATH = 1024;
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
 *   or 1024 bytes
 */
export function checkedPath(text: string, source: string): string {
  const reject = (reason: string) =>
    new Failure("content", `refused the path ${quoted(text)} of ${source}: ${reason}`);

  if (text === "") throw reject("it is empty");
  if (Buffer.byteLength(text) > MAX_PATH) throw reject(`it is longer than ${MAX_PATH} bytes`);
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
    throw new Failure("content", `refused the path ${quoted(text)} of ${source}: it names no file`);
  }
  return path;
}

/**
 * The paths of one directory tree as they are claimed, so that no two of them meet: not by case, not
 * by Unicode form, not by a file standing where another path needs a directory.
 */
export class PathSet {
  private readonly root: Entries = new Map();

  /** @throws {Failure} `content` when the path collides with an earlier one */
  addFile(path: string, source: string): void {
    const parents = path.split("/");
    const name = parents.pop() ?? "";
    const entries = this.enter(parents, path, source);
    const key = collisionKey(name);
    const earlier = entries.get(key);
    if (earlier) throw collision(path, [...parents, earlier.name], source);
    entries.set(key, { name });
  }

  /** @throws {Failure} `content` when a file, or a directory in other letters, is there */
  addDirectory(path: string, source: string): void {
    if (path !== "") this.enter(path.split("/"), path, source);
  }

  /** What is in a directory, which is claimed with those above it. */
  private enter(directory: readonly string[], path: string, source: string): Entries {
    let entries = this.root;
    for (const [depth, name] of directory.entries()) {
      const key = collisionKey(name);
      const earlier = entries.get(key);
      if (earlier && (!earlier.entries || earlier.name !== name)) {
        throw collision(path, [...directory.slice(0, depth), earlier.name], source);
      }
      const inside: Entries = earlier?.entries ?? new Map();
      if (!earlier) entries.set(key, { name, entries: inside });
      entries = inside;
    }
    return entries;
  }
}

/** What is in one directory, by {@link collisionKey} of the name. A file has no entries of its own. */
type Entries = Map<string, { readonly name: string; readonly entries?: Entries }>;

/** Printable ASCII, as all but a few paths are: nothing in it needs a closer look. */
function isPlain(text: string): boolean {
  return /^[ -~]*$/.test(text);
}

/** What is equal for names that some file system can't tell apart. */
function collisionKey(name: string): string {
  if (isPlain(name)) return name.toLowerCase();
  // Upper case first: it is what makes "ß" and "ss" one.
  return name.normalize("NFKC").toUpperCase().toLowerCase().normalize("NFKC");
}

function collision(path: string, components: readonly string[], source: string): Failure {
  const earlier = components.join("/");
  return new Failure(
    "content",
    path === earlier
      ? `refused the path ${quoted(path)} of ${source}: it is there already`
      : `refused the path ${quoted(path)} of ${source}: it collides with ${quoted(earlier)}`,
  );
}
