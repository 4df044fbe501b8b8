/** Files that the user names: read whole, described, or written so that they appear complete. */
import { open, rename, rm, stat } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { Failure } from "../lib/failure.ts";
import type { Descriptor } from "../oci/descriptor.ts";
import { createHasher, finishDigest } from "../oci/digest.ts";
import type { Context } from "./context.ts";

/**
 * The content of a file, or of standard input for `-`.
 *
 * @throws {Failure} `not-found`, `disk`, or `usage` beyond `limit` bytes
 */
export async function readAll(
  context: Context,
  path: string,
  limit: number,
): Promise<Uint8Array<ArrayBuffer>> {
  const source = path === "-" ? context.stdin() : (await openFile(path)).stream();
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of source) {
    chunks.push(chunk);
    size += chunk.byteLength;
    if (size > limit) {
      throw new Failure("usage", `${JSON.stringify(path)} is longer than ${limit} bytes`);
    }
  }
  return Buffer.concat(chunks);
}

/** Digest and size of a file. @throws {Failure} `not-found` or `disk` */
export async function describeFile(
  path: string,
  signal: AbortSignal,
): Promise<Pick<Descriptor, "digest" | "size">> {
  const file = await openFile(path);
  const hasher = createHasher("sha256");
  let size = 0;
  for await (const chunk of file.stream()) {
    signal.throwIfAborted();
    hasher.update(chunk);
    size += chunk.byteLength;
  }
  return { digest: finishDigest("sha256", hasher), size };
}

async function openFile(path: string): Promise<Bun.BunFile> {
  try {
    const status = await stat(path);
    if (status.isDirectory()) throw new Failure("usage", `${JSON.stringify(path)} is a directory`);
  } catch (error) {
    if (error instanceof Failure) throw error;
    const missing = (error as NodeJS.ErrnoException).code === "ENOENT";
    const reason = error instanceof Error ? error.message : error;
    throw new Failure(
      missing ? "not-found" : "disk",
      `can't read ${JSON.stringify(path)}: ${missing ? "it isn't there" : reason}`,
      { cause: error },
    );
  }
  return Bun.file(path);
}

/**
 * Writes `content` to `path`, which shows nothing new until all of it has arrived.
 *
 * @throws {Failure} `disk`, and what the content throws
 */
export async function writeFile(
  path: string,
  content: Iterable<Uint8Array> | AsyncIterable<Uint8Array>,
): Promise<void> {
  const temporary = join(dirname(path), `.${basename(path)}.${crypto.randomUUID()}.part`);
  try {
    const file = await open(temporary, "wx");
    try {
      for await (const chunk of content) await file.writeFile(chunk);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
}
