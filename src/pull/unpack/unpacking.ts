/** Unpacking the archives of an artifact, each as soon as its blob is there. */
import { join } from "node:path";
import { KeyedLock } from "../../lib/lock.ts";
import { checkedFilePath } from "../../model/path.ts";
import type { PlannedFile, Target } from "../../model/planned-file.ts";
import type { Digest } from "../../oci/digest.ts";
import { storedBlobReader } from "../blob-reader.ts";
import type { BlobDirectory, BlobId } from "../blobs.ts";
import type { ModelFile } from "../model-file.ts";
import { asArchive, recognised } from "../unnamed.ts";
import { imageFiles } from "./image-tree.ts";
import type { FileEntry, ImageEntry, UnpackedLayer } from "./layer.ts";
import type { UnpackedLayers } from "./layers.ts";
import { DEFAULT_LIMITS, type UnpackLimits } from "./limits.ts";
import { tooLarge, tooMany } from "./refusal.ts";
import { isArchive, type PlannedArchive } from "./unpack-layer.ts";

export interface UnpackingOptions {
  readonly limits?: Partial<UnpackLimits> | undefined;
  /** Hears when all that a blob was wanted for is unpacked. */
  readonly onUnpacked?: (digest: Digest) => Promise<void>;
  readonly signal?: AbortSignal | undefined;
}

export class Unpacking {
  private readonly done = new Map<PlannedArchive, UnpackedLayer>();
  private readonly files: PlannedFile[];
  /** What each blob is for, and where that is in `files`. */
  private readonly wanted: ReadonlyMap<Digest, readonly (readonly [number, PlannedFile])[]>;
  private readonly limits: UnpackLimits;
  private readonly turns = new KeyedLock();
  private bytes = 0;
  private entries = 0;

  /** @param planned files of the artifact, in the order of its layers */
  constructor(
    planned: readonly PlannedFile[],
    private readonly blobs: BlobDirectory,
    private readonly layers: UnpackedLayers,
    private readonly options: UnpackingOptions = {},
  ) {
    this.files = [...planned];
    this.limits = { ...DEFAULT_LIMITS, ...options.limits };
    this.wanted = Map.groupBy(planned.entries(), ([, { descriptor }]) => descriptor.digest);
  }

  /** The planned files; those that were received as what they are, if nothing named them. */
  get recognised(): readonly PlannedFile[] {
    return this.files;
  }

  /** Takes what an earlier run unpacked. @returns the files whose blobs are still needed */
  async resume(): Promise<readonly PlannedFile[]> {
    for (const [index, file] of this.files.entries()) {
      const archive = asArchive(file) ?? file;
      const layer = isArchive(archive) ? await this.layers.find(archive) : undefined;
      if (!layer || !isArchive(archive)) continue;
      this.files[index] = archive;
      this.note(archive, layer);
    }
    return this.files.filter((file) => !isArchive(file) || !this.done.has(file));
  }

  /**
   * Unpacks what a blob is for, now that it is there; one archive at a time, so that memory stays
   * bounded.
   *
   * @throws {Failure} `content` when an archive is hostile, malformed, or not what its `diffId` says
   */
  async receive({ digest }: BlobId, signal: AbortSignal): Promise<void> {
    const wanted = await this.recognise(digest);
    const archives = wanted.filter(isArchive);
    if (archives.length === 0) return;
    const ending = this.options.signal ? AbortSignal.any([signal, this.options.signal]) : signal;
    await this.turns.run("", async () => {
      for (const file of archives) await this.unpack(file, ending);
    });
    if (archives.length === wanted.length) await this.options.onUnpacked?.(digest);
  }

  /**
   * The files of all archives, when all were received.
   *
   * @throws {Failure} `content` when the layers of an image don't fit together
   */
  modelFiles(): ModelFile[] {
    const files: ModelFile[] = [];
    const image: UnpackedLayer[] = [];
    for (const file of this.files.filter(isArchive)) {
      const layer = this.layerOf(file);
      if (file.target.kind === "image-layer") {
        image.push(layer);
        continue;
      }
      const { target } = file;
      const isConfig = target.kind === "archive" && target.role === "config";
      const origin = isConfig ? "config-archive" : "archive";
      for (const { path, number, size, digest } of layer.entries.filter(isFile)) {
        const shown = pathIn(target, path, layer.source);
        if (file.only && !file.only.has(shown)) continue;
        const source = join(layer.directory, String(number));
        files.push({ path: shown, source, size, digest, origin });
      }
    }
    if (image.length > 0) {
      for (const found of imageFiles(image, this.limits.maxArchiveEntries)) {
        const { path, directory, number, size, digest } = found;
        const source = join(directory, String(number));
        files.push({ path, source, size, digest, origin: "archive" });
      }
    }
    // Links that an image shows may have to be copies.
    if (totalOf(files) > this.limits.maxUnpackedSize) throw tooLarge("the archives");
    return files;
  }

  /** What a blob that is there is for. */
  private async recognise(digest: Digest): Promise<PlannedFile[]> {
    const wanted: PlannedFile[] = [];
    for (const [index, planned] of this.wanted.get(digest) ?? []) {
      const content = await storedBlobReader(this.blobs.path(digest));
      const file = await recognised(this.files[index] ?? planned, content);
      this.files[index] = file;
      wanted.push(file);
    }
    return wanted;
  }

  private async unpack(file: PlannedArchive, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    const { limits } = this;
    const maxBytes = limits.maxUnpackedSize - this.bytes;
    const path = this.blobs.path(file.descriptor.digest);
    const layer =
      (await this.layers.find(file)) ??
      (await this.layers.unpack(file, path, { limits, maxBytes, signal }));
    this.note(file, layer);
  }

  /** @throws {Failure} `content` when all archives together have too many entries */
  private note(file: PlannedArchive, layer: UnpackedLayer): void {
    if (this.done.has(file)) return;
    this.done.set(file, layer);
    this.bytes += totalOf(layer.entries.filter(isFile));
    this.entries += layer.entries.length;
    // Many archives of empty files, or one that counts many times, are as bad as a large one.
    const most = this.limits.maxArchiveEntries;
    if (this.entries > most) throw tooMany(`the artifact with ${layer.source}`, most);
  }

  private layerOf(file: PlannedArchive): UnpackedLayer {
    const layer = this.done.get(file);
    if (!layer) throw new Error(`the layer ${file.descriptor.digest} wasn't unpacked`);
    return layer;
  }
}

/** Where an entry of an archive goes; checked again, as it may be deeper there. */
function pathIn(target: Target, entry: string, source: string): string {
  if (target.kind !== "archive" || target.into === undefined) return entry;
  return checkedFilePath(`${target.into}/${entry}`, source);
}

function isFile(entry: ImageEntry): entry is FileEntry {
  return entry.kind === "file";
}

/** Bytes. */
function totalOf(files: readonly { readonly size: number }[]): number {
  return files.reduce((sum, { size }) => sum + size, 0);
}
