/** Pushing a model: from a directory to an artifact that {@link pull} makes the same files of. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { diskFailure } from "./disk.ts";
import { FileHasher } from "./file-hasher.ts";
import { listModel } from "./model-directory.ts";
import { type PushModelOptions, type PushResult, pushModel } from "./push-model.ts";
import { LocalFile } from "./source-file.ts";

export interface PushOptions extends Omit<PushModelOptions, "staging" | "hasher" | "created"> {
  /** A directory in the layout of Hugging Face, or of its cache, or one weight file. */
  readonly path: string;
}

/** @throws {Failure} what {@link pushModel} and {@link listModel} throw */
export async function push({ path, ...options }: PushOptions): Promise<PushResult> {
  using hasher = new FileHasher();
  const found = await listModel(path);
  return withStaging((staging) =>
    pushModel(
      found.map((file) => new LocalFile(file.path, file.source, file.size, hasher)),
      { ...options, staging, hasher },
    ),
  );
}

/** Runs `work` with an empty directory of its own, which is removed afterwards. */
export async function withStaging<T>(work: (directory: string) => Promise<T>): Promise<T> {
  let staging: string | undefined;
  try {
    staging = await mkdtemp(join(tmpdir(), "ocireg-push-"));
    return await work(staging);
  } catch (error) {
    throw diskFailure(error);
  } finally {
    if (staging) await rm(staging, { recursive: true, force: true });
  }
}
