import { describe, expect, test } from "bun:test";
import { appendFileSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { Extents } from "../../../src/pull/engine/extents.ts";
import { Journal, readJournal } from "../../../src/pull/engine/journal.ts";
import { temporaryDirectory } from "../../support/temp.ts";

const nothing = () => ({ written: new Extents(), synced: new Extents() });

async function written(): Promise<string> {
  const path = join(temporaryDirectory(), "journal");
  const journal = await Journal.create(path, 1000, "this-boot", nothing());
  journal.note("written", { start: 0, end: 100 });
  journal.note("synced", { start: 0, end: 50 });
  journal.note("written", { start: 500, end: 600 });
  await journal.close();
  return path;
}

const read = async (path: string, size = 1000, boot = "this-boot") => {
  const content = await readJournal(path, size, boot);
  return content && { written: [...content.written], synced: [...content.synced] };
};

describe("a journal", () => {
  test("tells the next process what was written, and what survives a power cut", async () => {
    expect(await read(await written())).toEqual({
      written: [
        { start: 0, end: 100 },
        { start: 500, end: 600 },
      ],
      synced: [{ start: 0, end: 50 }],
    });
  });

  test("says after a restart of the machine only what was synced", async () => {
    const synced = [{ start: 0, end: 50 }];
    expect(await read(await written(), 1000, "the-next-boot")).toEqual({ written: synced, synced });
  });

  test("says nothing of a blob of another size, or where there is none", async () => {
    const path = await written();
    expect(await read(path, 1001)).toBeUndefined();
    expect(await read(`${path}.missing`)).toBeUndefined();
  });

  test("goes on where it was closed", async () => {
    const path = await written();
    const content = await readJournal(path, 1000, "this-boot");
    const journal = await Journal.create(path, 1000, "this-boot", content ?? nothing());
    journal.note("written", { start: 100, end: 500 });
    await journal.close();
    expect((await read(path))?.written).toEqual([{ start: 0, end: 600 }]);
  });

  test("isn't misled by a line that was cut off, torn or made up", async () => {
    const path = await written();
    const before = await read(path);
    appendFileSync(path, "written 600 1000 00000000\nwritten 600 700\nsynced 0 1000");
    expect(await read(path)).toEqual(before);
    writeFileSync(path, Buffer.alloc(4096));
    expect(await read(path)).toBeUndefined();
  });

  test("says nothing where it has more extents than any transfer leaves", async () => {
    const path = await written();
    const line = (text: string) =>
      `${text} ${Bun.hash.crc32(text).toString(16).padStart(8, "0")}\n`;
    const lines = Array.from({ length: 20_000 }, (_, n) => line(`written ${n * 2} ${n * 2 + 1}`));
    writeFileSync(path, [line("blob 100000 this-boot"), ...lines].join(""));
    expect(await read(path, 100_000)).toBeUndefined();
    writeFileSync(path, [line("blob 100000 this-boot"), ...lines.slice(0, 100)].join(""));
    expect((await read(path, 100_000))?.written).toHaveLength(100);
  });

  test("never claims more than was noted, wherever it is cut", async () => {
    const path = await written();
    const bytes = readFileSync(path);
    await fc.assert(
      fc.asyncProperty(fc.nat(bytes.byteLength), async (length) => {
        writeFileSync(path, bytes.subarray(0, length));
        for (const { start, end } of (await read(path))?.written ?? []) {
          expect((start >= 0 && end <= 100) || (start >= 500 && end <= 600)).toBe(true);
        }
      }),
      { numRuns: 50 },
    );
  });
});
