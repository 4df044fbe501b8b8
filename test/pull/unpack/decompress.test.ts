import { describe, expect, test } from "bun:test";
import { randomBytes } from "node:crypto";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { constants, createZstdCompress, gzipSync, zstdCompressSync } from "node:zlib";
import type { Compression } from "../../../src/model/planned-file.ts";
import { digestOf } from "../../../src/oci/digest.ts";
import { requireTool, runChecked } from "../../support/programs.ts";
import { temporaryDirectory } from "../../support/temp.ts";
import { failureOf } from "../fixtures.ts";
import { concat, tar } from "../tar.ts";
import { type UnpackingOptions, unpackBytes } from "./fixtures.ts";

const noise = randomBytes(300_000);
const archive = tar({ name: "a", content: "text" }, { name: "noise", content: noise });
const halves = [archive.subarray(0, 200_000), archive.subarray(200_000)];
/** A frame that zstd decoders skip: zstd:chunked layers end with one. */
const skippable = new Uint8Array([0x50, 0x2a, 0x4d, 0x18, 4, 0, 0, 0, 1, 2, 3, 4]);

function unpack(bytes: Uint8Array, compression: Compression, options?: UnpackingOptions) {
  return unpackBytes(bytes, { kind: "archive", role: "content", compression }, options);
}

async function refusal(
  bytes: Uint8Array,
  compression: Compression,
  options?: UnpackingOptions,
): Promise<string> {
  const { place, done } = unpack(bytes, compression, options);
  const { message } = await failureOf(done, "content");
  expect(readdirSync(place).sort()).toEqual(["archive", "out"]);
  return message;
}

describe("a compressed archive is unpacked", () => {
  test.each<[string, Compression, Uint8Array]>([
    ["gzip", "gzip", gzipSync(archive)],
    ["gzip in two members", "gzip", concat(...halves.map((half) => gzipSync(half)))],
    ["gzip with zeros behind it", "gzip", concat(gzipSync(archive), new Uint8Array(700))],
    ["zstd", "zstd", zstdCompressSync(archive)],
    ["zstd in two frames", "zstd", concat(...halves.map((half) => zstdCompressSync(half)))],
    ["zstd with frames to skip", "zstd", concat(skippable, zstdCompressSync(archive), skippable)],
  ])("from %s", async (_, compression, bytes) => {
    const { done } = unpack(bytes, compression, { diffId: digestOf(archive) });
    const found = (await done).map((entry) => entry.kind === "file" && [entry.path, entry.digest]);
    expect(found).toEqual([
      ["a", digestOf("text")],
      ["noise", digestOf(noise)],
    ]);
  });

  test("as the tools of the system packed it", async () => {
    const source = temporaryDirectory();
    writeFileSync(join(source, "x"), "x".repeat(1_000_000));
    const target = temporaryDirectory();
    for (const [compression, tool] of [
      ["gzip", "gzip"],
      ["zstd", "zstd"],
    ] as const) {
      const path = join(target, tool);
      const use = `--use-compress-program=${requireTool(tool)}`;
      await runChecked([requireTool("tar"), use, "-C", source, "-cf", path, "."]);
      const { files } = unpack(readFileSync(path), compression);
      expect(await files()).toEqual({ x: "x".repeat(1_000_000) });
    }
  });
});

describe("a compressed archive is refused", () => {
  test.each<[string, Compression, Uint8Array]>([
    ["nothing", "gzip", new Uint8Array()],
    ["nothing", "zstd", new Uint8Array()],
    ["something else", "gzip", zstdCompressSync(archive)],
    ["something else", "zstd", gzipSync(archive)],
    ["an archive without compression", "gzip", archive],
    ["an archive without compression", "zstd", archive],
    ["cut", "gzip", gzipSync(archive).subarray(0, 100_000)],
    ["cut", "zstd", zstdCompressSync(archive).subarray(0, 100_000)],
    ["compressed twice", "gzip", gzipSync(gzipSync(archive))],
  ])("when it is %s instead of %s", async (_, compression, bytes) => {
    expect(await refusal(bytes, compression)).toMatch(/isn't (?:valid|a valid tar archive)/);
  });

  test("when its checksum is wrong", async () => {
    const bytes = new Uint8Array(gzipSync(archive));
    bytes[bytes.byteLength - 6] = (bytes.at(-6) ?? 0) ^ 1;
    expect(await refusal(bytes, "gzip")).toContain("isn't valid gzip");
  });

  test("when it becomes too large for its size, even where nothing of it is written", async () => {
    const zeros = tar({ name: "elsewhere", content: new Uint8Array(260 * 1024 * 1024) });
    for (const [compression, bytes] of [
      ["gzip", gzipSync(zeros, { level: 1 })],
      ["zstd", zstdCompressSync(zeros)],
    ] as const) {
      const unpackZeros = (options?: UnpackingOptions) =>
        unpackBytes(bytes, { kind: "image-layer", compression }, options).done;
      const { message } = await failureOf(unpackZeros(), "content");
      expect(message).toContain("more than 100 times larger than it is; if you trust it, raise");
      await unpackZeros({ maxArchiveRatio: 1_000_000 });
    }
  });

  test("when zstd wants more memory than allowed", async () => {
    const stream = createZstdCompress({ params: { [constants.ZSTD_c_windowLog]: 28 } });
    stream.write(archive.subarray(0, 1000));
    stream.end(archive.subarray(1000));
    const bytes = concat(...(await Array.fromAsync(stream)));
    expect(await refusal(bytes, "zstd")).toContain("raise --max-zstd-window");
    await unpack(bytes, "zstd", { maxZstdWindow: 256 * 1024 * 1024 }).done;
  });
});

describe("the digest of the decompressed archive", () => {
  test.each<[Compression, Uint8Array]>([
    ["none", archive],
    ["gzip", gzipSync(archive)],
    ["zstd", zstdCompressSync(archive)],
  ])("has to be what the config says: %s", async (compression, bytes) => {
    for (const algorithm of ["sha256", "sha512"]) {
      await unpack(bytes, compression, { diffId: digestOf(archive, algorithm) }).done;
      const diffId = digestOf("something else", algorithm);
      expect(await refusal(bytes, compression, { diffId })).toContain(
        `decompressed it is ${digestOf(archive, algorithm)}, and the config of the artifact says ${diffId}`,
      );
    }
  });

  test("counts what follows the end of the archive", async () => {
    const whole = concat(archive, noise);
    await unpack(gzipSync(whole), "gzip", { diffId: digestOf(whole) }).done;
    await refusal(gzipSync(whole), "gzip", { diffId: digestOf(archive) });
  });
});
