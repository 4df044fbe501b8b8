/** The content of an upload, of which any part can be sent, and sent again. */
import { Failure } from "../lib/failure.ts";
import type { RequestBody } from "./http.ts";

/** A blob's content: a file (`Bun.file`), bytes in memory, or what is read from somewhere else. */
export type BlobBody = Blob | Uint8Array | StreamedBlob;

/** Content that is streamed from where it lies, from any byte on. */
export interface StreamedBlob {
  /** Bytes. */
  readonly size: number;
  /**
   * The bytes from `start` up to and without `end`. Opened again for what has to be sent again: what
   * was opened before isn't read any more. What the stream throws ends the upload.
   */
  open(start: number, end: number): ReadableStream<Uint8Array>;
}

/** A part of a blob: from `start` up to and without `end`. */
export interface Part {
  readonly start: number;
  readonly end: number;
}

/** Bytes of memory that are handed over at once. */
const CHUNK_SIZE = 256 * 1024;

/**
 * A request's body that sends `part` of a blob that should have `size` bytes.
 *
 * @param onSent hears how far in the blob the bytes have been sent
 * @throws {Failure} from its stream: `content` where the content isn't what was announced, `disk`
 *   where it can't be read
 */
export function partialBody(
  openBlob: () => BlobBody,
  { start, end }: Part,
  size: number,
  what: string,
  onSent: (position: number) => void,
): RequestBody {
  return {
    size: end - start,
    open() {
      const body = openBlob();
      const actual = body instanceof Uint8Array ? body.byteLength : body.size;
      if (actual !== size) {
        throw new Failure("content", `${what}: the local content has ${actual} bytes, not ${size}`);
      }
      return exactly(chunksOf(body, { start, end }, what), { start, end }, what, onSent);
    },
  };
}

/** `source` as a stream that has all bytes of the part, and no more. */
function exactly(
  source: AsyncIterator<Uint8Array>,
  { start, end }: Part,
  what: string,
  onSent: (position: number) => void,
): ReadableStream<Uint8Array> {
  let position = start;
  onSent(position);
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        const { done, value } = await source.next();
        position += value?.byteLength ?? 0;
        if (position > end || (done && position < end)) {
          throw new Failure("content", `${what}: the local content changed while it was read`);
        }
        if (done) return controller.close();
        onSent(position);
        controller.enqueue(value);
      },
      async cancel() {
        await source.return?.(undefined);
      },
    },
    { highWaterMark: 0 },
  );
}

function chunksOf(body: BlobBody, { start, end }: Part, what: string): AsyncIterator<Uint8Array> {
  if (body instanceof Uint8Array) return slices(body.subarray(start, end));
  if (body instanceof Blob) return fileChunks(body.slice(start, end), what);
  // Not its iterator: that one can't be left while it waits.
  const reader = body.open(start, end).getReader();
  return {
    next: () => reader.read() as Promise<IteratorResult<Uint8Array>>,
    async return() {
      await reader.cancel();
      return { done: true, value: undefined };
    },
  };
}

async function* slices(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  for (let start = 0; start < bytes.byteLength; start += CHUNK_SIZE) {
    yield bytes.subarray(start, start + CHUNK_SIZE);
  }
}

async function* fileChunks(file: Blob, what: string): AsyncGenerator<Uint8Array> {
  try {
    yield* file.stream().values();
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new Failure("disk", `${what}: can't read the local content: ${reason}`, { cause });
  }
}
