import { expect, test } from "bun:test";
import { TarGuard } from "../../../src/pull/unpack/tar-guard.ts";
import { pax, tarEntry } from "../tar.ts";

const GIGABYTE = 1024 ** 3;

/** Shows a guard a file of `size` bytes, and behind it an entry that it must refuse. */
function showFile(size: number, ...headers: Uint8Array[]): void {
  const guard = new TarGuard("the archive", 1024 * 1024);
  for (const header of headers) guard.check(header);
  const chunk = new Uint8Array(64 * 1024 * 1024);
  for (let shown = 0; shown < size; shown += chunk.byteLength) guard.check(chunk);
  guard.check(tarEntry({ name: "behind", type: "S" }));
}

test("a file of more than 8 GiB is as large as PAX and base 256 say", () => {
  const size = 9 * GIGABYTE;
  expect(() => showFile(size, pax({ size: String(size) }), tarEntry({ name: "weights" }))).toThrow(
    'unsupported type "S"',
  );
  const inBase256 = tarEntry({ name: "weights" });
  const field = Buffer.alloc(12);
  field[0] = 0x80;
  field.writeBigUInt64BE(BigInt(size), 4);
  inBase256.set(field, 124);
  inBase256.fill(32, 148, 156);
  const sum = inBase256.subarray(0, 512).reduce((total, byte) => total + byte, 0);
  inBase256.set(Buffer.from(`${sum.toString(8).padStart(6, "0")}\0 `), 148);
  expect(() => showFile(size, inBase256)).toThrow('unsupported type "S"');
});

test("an archive ends with two blocks of zeros, and what follows isn't looked at", () => {
  const guard = new TarGuard("the archive", 1024);
  const entry = tarEntry({ name: "a" });
  const chunk = new Uint8Array([...entry, ...new Uint8Array(1024), ...new Uint8Array(100).fill(1)]);
  expect(guard.check(chunk)).toBe(entry.byteLength + 1024);
  expect(guard.check(chunk)).toBe(0);
});

test("one block of zeros doesn't end it", () => {
  const guard = new TarGuard("the archive", 1024);
  guard.check(new Uint8Array(512));
  expect(() => guard.check(tarEntry({ name: "x", type: "S" }))).toThrow("unsupported type");
});
