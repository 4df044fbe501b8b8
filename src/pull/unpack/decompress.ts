import { createReadStream } from "node:fs";
import { constants, createGunzip, createZstdDecompress } from "node:zlib";
import { errorCode } from "../../lib/durable.ts";
import { Failure } from "../../lib/failure.ts";
import type { Compression } from "../../model/planned-file.ts";
import { HARMLESS, type UnpackLimits } from "./limits.ts";
import { refused } from "./refusal.ts";

/** Bytes of a chunk. */
const CHUNK = 256 * 1024;

/**
 * The content of a file, decompressed: all members of a gzip file, all frames of a zstd file.
 *
 * @param source what the file is, for messages
 * @throws {Failure} `content` when it isn't compressed so, is damaged, or asks for too much
 */
export async function* decompressed(
  path: string,
  compression: Compression,
  source: string,
  { maxArchiveRatio, maxZstdWindow }: Pick<UnpackLimits, "maxArchiveRatio" | "maxZstdWindow">,
): AsyncGenerator<Uint8Array> {
  if (compression === "none") {
    yield* Bun.file(path).stream();
    return;
  }
  const most = Math.max(HARMLESS, Bun.file(path).size * maxArchiveRatio);
  const reading = createReadStream(path, { highWaterMark: CHUNK });
  const params = { [constants.ZSTD_d_windowLogMax]: Math.floor(Math.log2(maxZstdWindow)) };
  const stream =
    compression === "gzip"
      ? createGunzip({ chunkSize: CHUNK })
      : createZstdDecompress({ chunkSize: CHUNK, params });
  reading.once("error", (error) => stream.destroy(error));
  reading.pipe(stream);
  let bytes = 0;
  try {
    for await (const chunk of stream) {
      bytes += chunk.byteLength;
      if (bytes > most) {
        throw refused(
          source,
          `it becomes more than ${maxArchiveRatio} times larger than it is; if you trust it, raise --max-archive-ratio`,
        );
      }
      yield chunk;
    }
  } catch (error) {
    throw decompressionFailure(error, compression, source);
  } finally {
    reading.destroy();
    stream.destroy();
  }
}

function decompressionFailure(error: unknown, compression: Compression, source: string): unknown {
  const code = errorCode(error) ?? "";
  if (code === "ZSTD_error_frameParameter_windowTooLarge") {
    return refused(
      source,
      `to decompress it takes more memory than allowed; if you trust it, raise --max-zstd-window`,
      { cause: error },
    );
  }
  if (!/^Z(?:STD)?_/.test(code)) return error;
  const { message } = error as Error;
  return new Failure("content", `${source} isn't valid ${compression}: ${message}`, {
    cause: error,
  });
}
