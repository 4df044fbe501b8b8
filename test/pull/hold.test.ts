import { describe, expect, test } from "bun:test";
import { mkdirSync, readdirSync, readFileSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { digestOf } from "../../src/oci/digest.ts";
import { heldDigests, holding } from "../../src/pull/hold.ts";
import { thisProcess } from "../../src/pull/machine.ts";
import { temporaryDirectory } from "../support/temp.ts";

const digests = [digestOf("1"), digestOf("2")];

describe("a hold", () => {
  test("is seen while the work goes on, and gone after it, also when it failed", async () => {
    const partial = join(temporaryDirectory(), "partial");
    const work = holding(partial, digests, async () => {
      expect(await heldDigests(partial)).toEqual(new Set(digests));
      throw new Error("no luck");
    });
    await expect(work).rejects.toThrow("no luck");
    expect(readdirSync(partial)).toEqual([]);
    expect(await heldDigests(partial)).toEqual(new Set());
  });

  test("doesn't count once its owner gives no sign of life", async () => {
    const partial = temporaryDirectory();
    const path = join(partial, "hold.0123456789abcdef");
    const elsewhere = { ...(await thisProcess()), machine: "another" };
    writeFileSync(path, [JSON.stringify(elsewhere), ...digests].join("\n"));
    expect(await heldDigests(partial)).toEqual(new Set(digests));
    const then = new Date(Date.now() - 61_000);
    utimesSync(path, then, then);
    expect(await heldDigests(partial)).toEqual(new Set());
  });

  test("goes with its owner, when that was a process of this machine", async () => {
    const partial = temporaryDirectory();
    const child = Bun.spawn(["sleep", "60"]);
    const fields = readFileSync(`/proc/${child.pid}/stat`, "utf8").split(" ");
    const owner = { ...(await thisProcess()), pid: child.pid, started: fields[21] };
    const content = [JSON.stringify(owner), ...digests].join("\n");
    writeFileSync(join(partial, "hold.0123456789abcdef"), content);
    expect(await heldDigests(partial)).toEqual(new Set(digests));
    child.kill("SIGKILL");
    await child.exited;
    expect(await heldDigests(partial)).toEqual(new Set());
    expect(readdirSync(partial)).toEqual([]);
  });

  test("is made of nothing but small files", async () => {
    const partial = temporaryDirectory();
    mkdirSync(join(partial, "hold.directory"));
    Bun.spawnSync(["mkfifo", join(partial, "hold.pipe")]);
    expect(await heldDigests(partial)).toEqual(new Set());
  });
});
