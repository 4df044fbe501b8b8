/** `--include` and `--exclude`: which files of an artifact are wanted, before any is fetched. */
import type { PlannedFile } from "../model/planned-file.ts";
import { SAFETENSORS_INDEX } from "../model/shards.ts";
import type { Digest } from "../oci/digest.ts";

/**
 * Globs of files to take, and to leave. One without `/` looks at the names of files, one with at their
 * paths. One whose part before the first `/` has no wildcard looks at media types of layers too.
 */
export interface Globs {
  /** @default everything */
  readonly include?: readonly string[] | undefined;
  /** @default nothing */
  readonly exclude?: readonly string[] | undefined;
}

export interface Selection {
  readonly files: readonly PlannedFile[];
  /** What is known of the names in layers of which the manifest doesn't tell them. */
  readonly contents: ReadonlyMap<Digest, readonly string[]>;
}

export function hasGlobs({ include = [], exclude = [] }: Globs): boolean {
  return include.length > 0 || exclude.length > 0;
}

/**
 * Chooses among the files of a plan. Of an archive whose files are known only those that are wanted
 * are unpacked, and without any it isn't fetched. What isn't known is taken, unless its media type
 * says otherwise.
 *
 * @param namesIn the paths of the files in an archive, or the path of a shard; undefined when unknown
 */
export function selectFiles(
  files: readonly PlannedFile[],
  globs: Globs,
  namesIn: (file: PlannedFile) => readonly string[] | undefined,
): Selection {
  const contents = new Map<Digest, readonly string[]>();
  for (const file of files) {
    const names = file.target.kind === "file" ? undefined : namesIn(file);
    if (names) contents.set(file.descriptor.digest, names);
  }
  const namesOf = ({ descriptor, target }: PlannedFile) =>
    target.kind === "file" ? [target.path] : contents.get(descriptor.digest);

  const shards = files.filter(({ target }) => target.kind === "shard");
  // Who has to name shards later needs their index, wanted or not.
  const isLater = shards.some((file) => !namesOf(file));
  const wantedOf = (file: PlannedFile) => {
    const names = namesOf(file);
    const wanted = wantedNames(file, names, globs);
    const needs = isLater && names?.includes(SAFETENSORS_INDEX);
    return needs && wanted ? [...new Set([...wanted, SAFETENSORS_INDEX])] : wanted;
  };
  const hasIndex = files.some((file) => namesOf(file)?.includes(SAFETENSORS_INDEX));
  // All shards without an index get one when they are named by their order.
  const staysShard = !hasIndex && shards.every((file) => wantedOf(file)?.length !== 0);

  const selected = files.flatMap((file): PlannedFile[] => {
    const wanted = wantedOf(file);
    if (wanted === undefined) return [file];
    const [path] = wanted;
    if (path === undefined) return [];
    switch (file.target.kind) {
      case "file":
        return [file];
      case "shard":
        return [staysShard ? file : { ...file, target: { kind: "file", path } }];
      default:
        return wanted.length === namesOf(file)?.length
          ? [file]
          : [{ ...file, only: new Set(wanted) }];
    }
  });
  return { files: selected, contents };
}

/** The paths of a layer that are wanted, none when it isn't; undefined when it is, unseen. */
function wantedNames(
  { descriptor: { mediaType } }: PlannedFile,
  names: readonly string[] | undefined,
  { include = [], exclude = [] }: Globs,
): readonly string[] | undefined {
  if (exclude.some((glob) => matchesType(glob, mediaType))) return [];
  const isIncluded = include.length === 0 || include.some((glob) => matchesType(glob, mediaType));
  if (!names) return isIncluded || include.some(mayBeName) ? undefined : [];
  return names.filter(
    (path) => (isIncluded || matchesAny(include, path)) && !matchesAny(exclude, path),
  );
}

function matchesType(glob: string, mediaType: string): boolean {
  return /^[a-z]+\//.test(glob) && new Bun.Glob(glob).match(mediaType);
}

/** Nearly all media types are below `application`, and no model has such a folder. */
function mayBeName(glob: string): boolean {
  return !glob.startsWith("application/");
}

function matchesAny(globs: readonly string[], path: string): boolean {
  const name = path.slice(path.lastIndexOf("/") + 1);
  return globs.some((glob) => new Bun.Glob(glob).match(glob.includes("/") ? path : name));
}
