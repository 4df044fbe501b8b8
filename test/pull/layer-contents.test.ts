import { expect, test } from "bun:test";
import type { PlannedFile } from "../../src/model/planned-file.ts";
import { digestOf } from "../../src/oci/digest.ts";
import { readContents } from "../../src/pull/layer-contents.ts";
import { tar } from "./tar.ts";

test("of thousands of archives the first are looked into, as many as memory is kept for", async () => {
  const bytes = tar(...Array.from({ length: 1900 }, (_, i) => ({ name: `file${i}` })));
  const size = bytes.byteLength;
  const archives = Array.from({ length: 100 }, (_, i): PlannedFile => {
    const descriptor = { mediaType: "application/x-tar", digest: digestOf(`${i}`), size };
    return { descriptor, target: { kind: "archive", role: "content", compression: "none" } };
  });
  const read = async (start: number, end: number) => bytes.subarray(start, end);
  const open = async () => ({ size, read });
  const contents = await readContents(archives, { open, tolerates: () => false });
  expect(contents.get(archives[0] as PlannedFile)).toHaveLength(1900);
  expect(contents.size).toBeLessThan(70);
});
