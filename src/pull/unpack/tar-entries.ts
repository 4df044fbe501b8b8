import { createTarDecoder, type ParsedTarEntry } from "modern-tar";
import { errorCode } from "../../lib/durable.ts";
import type { Compression } from "../../model/planned-file.ts";
import { algorithmOf, createHasher, type Digest, finishDigest } from "../../oci/digest.ts";
import { decompressed } from "./decompress.ts";
import type { UnpackLimits } from "./limits.ts";
import { malformed, refused, tooMany } from "./refusal.ts";
import { TarGuard } from "./tar-guard.ts";

/** An archive that is on disk and matched its digest. */
export interface Archive {
  readonly path: string;
  /** Of the file at `path`. */
  readonly digest: Digest;
  readonly compression: Compression;
  /** What it has to be when it is decompressed. */
  readonly diffId?: Digest | undefined;
  /** What it is, for messages: `the layer sha256:…`. */
  readonly source: string;
}

/**
 * The entries of a tar archive, one after the other: the body of one is gone when the next is asked
 * for. Each name is as it stands there. Whoever takes the last one has read the archive to its end.
 *
 * @throws {Failure} `content` when it isn't what its `diffId` says, has sparse files or entries of
 *   unknown types, or goes beyond the limits; what {@link tarFailure} understands
 */
export async function* tarEntries(
  archive: Archive,
  limits: UnpackLimits,
  signal?: AbortSignal,
): AsyncGenerator<ParsedTarEntry> {
  const { source } = archive;
  const entries = streamOf(tarBytes(archive, limits, signal)).pipeThrough(
    createTarDecoder({ strict: true }),
  );
  let count = 0;
  for await (const entry of entries) {
    if (++count > limits.maxArchiveEntries) throw tooMany(source, limits.maxArchiveEntries);
    yield entry;
    // What wasn't read would keep the next one from coming.
    await entry.body.cancel();
  }
}

/** What the tar library threw, from the entries or a body, as a failure; other errors as they are. */
export function tarFailure(error: unknown, source: string): unknown {
  // The library's own errors are plain ones; those of the system have a code.
  if (!(error instanceof Error) || error.name !== "Error" || errorCode(error) !== undefined) {
    return error;
  }
  return malformed(source, error.message, { cause: error });
}

function streamOf(chunks: AsyncGenerator<Uint8Array>): ReadableStream<Uint8Array> {
  return new ReadableStream({
    async pull(controller) {
      const { done, value } = await chunks.next();
      if (done) controller.close();
      else controller.enqueue(value);
    },
    cancel: async () => void (await chunks.return(undefined)),
  });
}

/** The archive without what follows its end, which is only hashed. */
async function* tarBytes(
  archive: Archive,
  limits: UnpackLimits,
  signal: AbortSignal | undefined,
): AsyncGenerator<Uint8Array> {
  const guard = new TarGuard(archive.source, limits.maxArchiveHeader);
  for await (const chunk of plainBytes(archive, limits, signal)) {
    const length = guard.check(chunk);
    if (length > 0) yield chunk.subarray(0, length);
  }
}

/**
 * The content of an archive, or of a single file, without its compression.
 *
 * @throws {Failure} `content` when it isn't what its `diffId` says, is damaged, or asks for too much
 */
export async function* plainBytes(
  archive: Archive,
  limits: UnpackLimits,
  signal: AbortSignal | undefined,
): AsyncGenerator<Uint8Array> {
  const { path, compression, source } = archive;
  const check = diffIdCheck(archive);
  for await (const chunk of decompressed(path, compression, source, limits)) {
    signal?.throwIfAborted();
    check.update(chunk);
    yield chunk;
  }
  check.end();
}

interface DiffIdCheck {
  update(chunk: Uint8Array): void;
  /** @throws {Failure} `content` */
  end(): void;
}

function diffIdCheck({ digest, diffId, compression, source }: Archive): DiffIdCheck {
  const require = (actual: Digest) => {
    if (actual === diffId) return;
    throw refused(
      source,
      `decompressed it is ${actual}, and the config of the artifact says ${diffId}`,
    );
  };
  if (diffId === undefined) return { update() {}, end() {} };
  const algorithm = algorithmOf(diffId);
  // It was verified when it came.
  if (compression === "none" && algorithmOf(digest) === algorithm) {
    return { update() {}, end: () => require(digest) };
  }
  const hasher = createHasher(algorithm);
  return {
    update: (chunk) => hasher.update(chunk),
    end: () => require(finishDigest(algorithm, hasher)),
  };
}
