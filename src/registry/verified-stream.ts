/** Streams that end only when they have held what they should. */
import { Failure } from "../lib/failure.ts";
import { algorithmOf, createHasher, type Digest, finishDigest } from "../oci/digest.ts";
import { ConnectionError } from "./connection-error.ts";

export interface ExpectedContent {
  /** Exact, in bytes. */
  readonly size: number;
  /** Undefined where only a part is read, which no digest is known of. */
  readonly digest?: Digest;
}

/**
 * `source`, which errors instead of ending when its size or digest isn't the one expected; not more
 * than the expected size is ever passed on.
 *
 * @param what for messages: `blob sha256:… of "host/repository"`
 * @param onWrong told of what is wrong, before the stream errors with it
 * @throws {Failure} from the stream: `content`, or `network` where the connection broke
 */
export function verifyStream(
  source: ReadableStream<Uint8Array>,
  { size, digest }: ExpectedContent,
  what: string,
  onWrong: (failure: Failure) => void = () => {},
): ReadableStream<Uint8Array> {
  const reader = source.getReader();
  const hasher = digest && createHasher(algorithmOf(digest));
  let received = 0;

  const refuse = async (reason: string): Promise<never> => {
    await reader.cancel().catch(() => {});
    const failure = new Failure("content", `${what}: ${reason}; what was received is of no use`);
    onWrong(failure);
    throw failure;
  };

  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        const { done, value } = await reader.read().catch((error: unknown) => {
          if (!(error instanceof ConnectionError)) throw error;
          throw new Failure("network", `${what}: ${error.message}`, { cause: error });
        });
        if (!done) {
          received += value.byteLength;
          if (received > size) await refuse(`it has more than its ${size} bytes`);
          hasher?.update(value);
          controller.enqueue(value);
          return;
        }
        if (received < size) await refuse(`it has ${received} bytes, not ${size}`);
        if (digest && hasher) {
          const actual = finishDigest(algorithmOf(digest), hasher);
          if (actual !== digest) await refuse(`its content has the digest ${actual}`);
        }
        controller.close();
      },
      cancel: (reason) => reader.cancel(reason),
    },
    { highWaterMark: 0 },
  );
}
