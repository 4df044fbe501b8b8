/** The files of a model that is about to be packed, wherever they lie. */
import { createReadStream } from "node:fs";
import { open } from "node:fs/promises";
import type { NamedFile } from "../model/model-files.ts";
import type { Digest } from "../oci/digest.ts";
import type { Repository } from "../oci/reference.ts";
import type { PushedBlob, RegistryClient } from "../registry/client.ts";
import type { BlobId } from "./blobs.ts";
import { copyBlob } from "./copy-blob.ts";
import { readFailure } from "./disk.ts";
import type { EventListener, ProgressMeter, Subject } from "./events.ts";
import type { FileHasher } from "./file-hasher.ts";
import { pushCounted } from "./push-blob.ts";
import { fileReader, type RangeReader } from "./range-reader.ts";

/** Where packed files go. */
export interface PushTarget {
  readonly client: RegistryClient;
  readonly target: Repository;
  readonly onEvent?: EventListener | undefined;
}

export interface SourceFile extends NamedFile, RangeReader {
  /** Where it lies, for messages. */
  readonly source: string;
  /** All of it. */
  stream(): AsyncIterable<Uint8Array>;
  digest(signal?: AbortSignal): Promise<Digest>;
  /** Makes sure that the target has it, as `blob`. */
  push(
    blob: BlobId,
    to: PushTarget,
    meter: ProgressMeter,
    subject: Subject,
    signal?: AbortSignal,
  ): Promise<PushedBlob>;
}

/** A file that is a blob at a registry, and stays there unless the target lacks it. */
export class RemoteFile implements SourceFile {
  readonly size: number;

  constructor(
    readonly path: string,
    readonly blob: BlobId,
    readonly from: { readonly client: RegistryClient; readonly source: Repository },
  ) {
    this.size = blob.size;
  }

  get source(): string {
    return `${this.path} (${this.blob.digest})`;
  }

  /** What is read so isn't verified: it tells of the content, and is none. */
  async read(start: number, end: number): Promise<Uint8Array> {
    const { client, source } = this.from;
    const part = {
      offset: Math.min(start, this.size),
      end: Math.min(end, this.size),
      verify: false,
    };
    return Bun.readableStreamToBytes(await client.openBlob(source, this.blob, part));
  }

  async *stream(): AsyncIterable<Uint8Array> {
    yield* await this.from.client.openBlob(this.from.source, this.blob);
  }

  async digest(): Promise<Digest> {
    return this.blob.digest;
  }

  push(
    blob: BlobId,
    to: PushTarget,
    meter: ProgressMeter,
    subject: Subject,
    signal?: AbortSignal,
  ): Promise<PushedBlob> {
    return copyBlob(blob, { ...this.from, ...to, signal }, meter, subject);
  }
}

/** A file on the local disk. What can't be read fails with `disk`. */
export class LocalFile implements SourceFile {
  constructor(
    readonly path: string,
    /** Absolute, or relative to the working directory. */
    readonly source: string,
    readonly size: number,
    readonly hasher: FileHasher,
  ) {}

  read(start: number, end: number): Promise<Uint8Array> {
    return this.#reading(async () => {
      const handle = await open(this.source, "r");
      try {
        return await fileReader(handle, this.size).read(start, end);
      } finally {
        await handle.close();
      }
    });
  }

  stream(): AsyncIterable<Uint8Array> {
    return createReadStream(this.source);
  }

  digest(signal?: AbortSignal): Promise<Digest> {
    return this.#reading(() => this.hasher.digest(this.source, this.size, signal));
  }

  push(
    blob: BlobId,
    { client, target }: PushTarget,
    meter: ProgressMeter,
    subject: Subject,
    signal?: AbortSignal,
  ): Promise<PushedBlob> {
    const from = { client, target, open: () => Bun.file(this.source), signal };
    return pushCounted(blob, from, meter, subject);
  }

  async #reading<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      throw readFailure(error, this.source);
    }
  }
}
