/** Archives that were unpacked, each in a directory of its own that outlives the process. */
import { mkdir, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { Type } from "@sinclair/typebox";
import { TypeCompiler } from "@sinclair/typebox/compiler";
import { errorCode, makeDirectory, syncDirectory, writeSynced } from "../../lib/durable.ts";
import { readSmallFile } from "../../lib/small-file.ts";
import { checkedPath } from "../../model/path.ts";
import { DigestText } from "../../oci/descriptor.ts";
import { algorithmOf, digestOf, encodedOf } from "../../oci/digest.ts";
import { sizeOf } from "../record.ts";
import type { ImageEntry, UnpackedLayer } from "./layer.ts";
import { type PlannedArchive, sourceOf, type UnpackOptions, unpackLayer } from "./unpack-layer.ts";

const File = Type.Object({
  kind: Type.Literal("file"),
  path: Type.String(),
  number: Type.Integer({ minimum: 0 }),
  size: Type.Integer({ minimum: 0 }),
  digest: DigestText,
});
const Link = Type.Object({
  kind: Type.Union([Type.Literal("symlink"), Type.Literal("hardlink")]),
  path: Type.String(),
  target: Type.String(),
});
const Mark = Type.Object({
  kind: Type.Union([Type.Literal("directory"), Type.Literal("whiteout"), Type.Literal("opaque")]),
  path: Type.String(),
});
const checker = TypeCompiler.Compile(Type.Array(Type.Union([File, Link, Mark])));

/** The list of a layer's entries, beside their contents. */
const LIST_NAME = "entries.json";
/** Bytes: as many entries as are allowed by default, with long names, fit. */
const MAX_LIST = 256 * 1024 * 1024;

export class UnpackedLayers {
  /**
   * @param root where those that are whole lie
   * @param working a path on the same file system; names that begin with it are nobody else's
   */
  constructor(
    private readonly root: string,
    private readonly working: string,
  ) {}

  /** What an earlier run unpacked; undefined when it isn't there, or isn't whole. */
  async find(file: PlannedArchive): Promise<UnpackedLayer | undefined> {
    const directory = join(this.root, nameOf(file));
    const entries = await readList(join(directory, LIST_NAME));
    for (const entry of entries ?? []) {
      if (entry.kind !== "file") continue;
      if ((await sizeOf(join(directory, String(entry.number)))) !== entry.size) return undefined;
    }
    return entries && { entries, directory, source: sourceOf(file) };
  }

  /**
   * Unpacks an archive so that it is found afterwards, even after a power cut.
   *
   * @param path of the blob, which was verified
   * @throws {Failure} `content` when it is hostile, malformed, or not what its `diffId` says
   */
  async unpack(file: PlannedArchive, path: string, options: UnpackOptions): Promise<UnpackedLayer> {
    const name = nameOf(file);
    const directory = join(this.root, name);
    const working = `${this.working}.${name}`;
    await mkdir(working);
    try {
      const entries = await unpackLayer(file, path, working, options);
      await writeSynced(join(working, LIST_NAME), JSON.stringify(entries));
      await syncDirectory(working);
      await makeDirectory(this.root);
      await replaceDirectory(directory, working);
      return { entries, directory, source: sourceOf(file) };
    } finally {
      await rm(working, { recursive: true, force: true });
    }
  }
}

/** The same for the same archive that is to be unpacked in the same way. */
function nameOf({ descriptor, target, diffId }: PlannedArchive): string {
  const { digest } = descriptor;
  const way = encodedOf(digestOf(JSON.stringify([target, diffId])));
  return `${algorithmOf(digest)}-${encodedOf(digest)}.${way.slice(0, 16)}`;
}

async function replaceDirectory(directory: string, by: string): Promise<void> {
  try {
    await rename(by, directory);
  } catch (error) {
    // What is there has lost files, or it would have been used.
    if (errorCode(error) !== "ENOTEMPTY" && errorCode(error) !== "EEXIST") throw error;
    await rm(directory, { recursive: true });
    await rename(by, directory);
  }
  await syncDirectory(join(directory, ".."));
}

async function readList(path: string): Promise<readonly ImageEntry[] | undefined> {
  const content = await readSmallFile(path, MAX_LIST);
  if (!content) return undefined;
  try {
    const json: unknown = JSON.parse(content.toString());
    if (!checker.Check(json)) return undefined;
    for (const entry of json) checkedPath(entry.path || ".", LIST_NAME);
    return json;
  } catch {
    return undefined;
  }
}
