/**
 * The head of a GGUF file: key-value metadata and the shapes of the tensors, as far as this project
 * asks: how a file is split, what it holds, how large it is. Little-endian, versions 2 and 3.
 */
import { Failure } from "../lib/failure.ts";

/** Bytes of metadata and tensor descriptions that are read at most. */
export const MAX_GGUF_HEAD = 64 * 1024 * 1024;

export interface GgufHead {
  /** The values that aren't arrays. */
  readonly values: ReadonlyMap<string, string | number | bigint | boolean>;
  /** The number of elements in all tensors. */
  readonly parameters: number;
}

/** Whether it is a projector, which turns images into tokens: no model by itself. */
export function isProjector({ values }: Pick<GgufHead, "values">): boolean {
  return values.get("general.architecture") === "clip";
}

const MAGIC = 0x46554747;
const STRING = 8;
const ARRAY = 9;
/** Bytes of each scalar type, by its number. */
const scalarSizes: Readonly<Record<number, number>> = {
  0: 1,
  1: 1,
  2: 2,
  3: 2,
  4: 4,
  5: 4,
  6: 4,
  7: 1,
  10: 8,
  11: 8,
  12: 8,
};
/** The least bytes that one of these takes, so that a count can't promise more than there is. */
const MIN_KEY_VALUE = 13;
const MIN_TENSOR = 24;
const MAX_DIMENSIONS = 4;
const MAX_TENSOR_NAME = 64;

/** The bytes given end before the head does. */
class OutOfBytes extends Error {}

/**
 * Reads the head from the first bytes of a file.
 *
 * @param fileSize bytes of the whole file, which bounds every count
 * @param source what is read, for the message
 * @returns undefined when the head goes on beyond `bytes`: give more
 * @throws {Failure} `content` when it isn't a GGUF file, or its head can't fit the file or 64 MiB
 */
export function parseGgufHead(
  bytes: Uint8Array,
  fileSize: number,
  source: string,
): GgufHead | undefined {
  const fail = (reason: string) => malformed(source, reason);
  try {
    return new Reader(bytes, Math.min(fileSize, MAX_GGUF_HEAD), fail).head();
  } catch (error) {
    if (!(error instanceof OutOfBytes)) throw error;
    if (bytes.byteLength >= Math.min(fileSize, MAX_GGUF_HEAD)) {
      throw fail(`its metadata goes beyond ${bytes.byteLength} bytes`);
    }
    return undefined;
  }
}

/**
 * The values that lie within the first bytes of a file, for who won't read as far as the head goes:
 * what describes a model stands before its vocabulary, which may be megabytes.
 *
 * @param fileSize bytes of the whole file
 * @param source what is read, for the message
 * @throws {Failure} `content` when it isn't a GGUF file
 */
export function firstGgufValues(
  bytes: Uint8Array,
  fileSize: number,
  source: string,
): GgufHead["values"] {
  const reader = new Reader(bytes, Math.min(fileSize, MAX_GGUF_HEAD), (reason) =>
    malformed(source, reason),
  );
  try {
    return reader.head().values;
  } catch (error) {
    if (!(error instanceof OutOfBytes)) throw error;
    return reader.values;
  }
}

function malformed(source: string, reason: string): Failure {
  return new Failure("content", `${source} isn't a valid GGUF file: ${reason}`);
}

class Reader {
  readonly values = new Map<string, string | number | bigint | boolean>();
  private readonly view: DataView;
  private at = 0;

  constructor(
    private readonly bytes: Uint8Array,
    private readonly limit: number,
    private readonly fail: (reason: string) => Failure,
  ) {
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  head(): GgufHead {
    if (this.uint32() !== MAGIC) throw this.fail('it doesn\'t begin with "GGUF"');
    const version = this.uint32();
    if ((version & 0xffff) === 0) throw this.fail("it is big-endian");
    if (version !== 2 && version !== 3) throw this.fail(`its version ${version} isn't 2 or 3`);
    const tensorCount = this.count(MIN_TENSOR);
    const valueCount = this.count(MIN_KEY_VALUE);
    const keys = new Set<string>();
    for (let i = 0; i < valueCount; i++) {
      const key = this.string();
      if (keys.has(key)) throw this.fail(`${JSON.stringify(key.slice(0, 200))} stands there twice`);
      keys.add(key);
      const value = this.value(this.uint32());
      if (value !== undefined) this.values.set(key, value);
    }
    let parameters = 0;
    for (let i = 0; i < tensorCount; i++) parameters += this.tensor();
    return { values: this.values, parameters };
  }

  private value(type: number): string | number | bigint | boolean | undefined {
    if (type === STRING) return this.string();
    if (type === ARRAY) {
      this.skipArray();
      return undefined;
    }
    const at = this.take(this.sizeOf(type));
    switch (type) {
      case 0:
        return this.view.getUint8(at);
      case 1:
        return this.view.getInt8(at);
      case 2:
        return this.view.getUint16(at, true);
      case 3:
        return this.view.getInt16(at, true);
      case 4:
        return this.view.getUint32(at, true);
      case 5:
        return this.view.getInt32(at, true);
      case 6:
        return this.view.getFloat32(at, true);
      case 7:
        return this.view.getUint8(at) !== 0;
      case 10:
        return this.view.getBigUint64(at, true);
      case 11:
        return this.view.getBigInt64(at, true);
      default:
        return this.view.getFloat64(at, true);
    }
  }

  private skipArray(): void {
    const type = this.uint32();
    if (type === ARRAY) throw this.fail("it has an array of arrays");
    if (type === STRING) {
      for (let count = this.count(8); count > 0; count--) this.take(this.count(1));
    } else {
      const size = this.sizeOf(type);
      this.take(this.count(size) * size);
    }
  }

  /** The number of elements of the tensor that is described here. */
  private tensor(): number {
    const nameLength = this.count(1);
    if (nameLength >= MAX_TENSOR_NAME) throw this.fail("it has a tensor name of 64 bytes or more");
    this.take(nameLength);
    const dimensions = this.uint32();
    if (dimensions > MAX_DIMENSIONS) throw this.fail("it has a tensor of more than 4 dimensions");
    let elements = 1;
    for (let i = 0; i < dimensions; i++) elements *= Number(this.uint64());
    if (!Number.isSafeInteger(elements)) throw this.fail("it has a tensor of impossible size");
    this.uint32();
    this.uint64();
    return elements;
  }

  private sizeOf(type: number): number {
    const size = scalarSizes[type];
    if (size === undefined) throw this.fail(`it has a value of the unknown type ${type}`);
    return size;
  }

  private string(): string {
    const length = this.count(1);
    const at = this.take(length);
    return new TextDecoder().decode(this.bytes.subarray(at, at + length));
  }

  /** A count of things that take at least `size` bytes each, all of them still to come. */
  private count(size: number): number {
    const count = this.uint64();
    if (count > BigInt(Math.floor((this.limit - this.at) / size))) {
      throw this.fail(`it counts ${count} items, more than its bytes can hold`);
    }
    return Number(count);
  }

  private uint32(): number {
    return this.view.getUint32(this.take(4), true);
  }

  private uint64(): bigint {
    return this.view.getBigUint64(this.take(8), true);
  }

  /** Moves on by `length` bytes and returns where they begin. */
  private take(length: number): number {
    const at = this.at;
    if (at + length > this.bytes.byteLength) throw new OutOfBytes();
    this.at += length;
    return at;
  }
}
