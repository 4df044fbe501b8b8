/** Disks that are full, read-only or not there. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { rmSync, statfsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { mayMount, mountMemory, mountTools } from "../support/mount.ts";
import { requireTool, runChecked } from "../support/programs.ts";
import type { TestRegistry } from "../support/registry.ts";
import { testWith } from "../support/tools.ts";
import { runOcireg, startPull } from "./compiled.ts";
import { startFaultProxy } from "./proxy.ts";
import {
  digestsBelow,
  expectSound,
  MEBIBYTE,
  MODEL,
  onShards,
  type ServedModel,
  startModelRegistry,
} from "./scenario.ts";

let registry: TestRegistry;
let model: ServedModel;
beforeAll(async () => {
  ({ registry, model } = await startModelRegistry());
});
afterAll(() => registry.stop());

test("a HOME that can't be written ends with one line that says what to do", async () => {
  const { code, stdout, stderr } = await runOcireg(["pull", `${registry.host}/${MODEL}`], {
    HOME: "/proc/nowhere",
  });
  expect({ code, stdout }).toEqual({ code: 7, stdout: "" });
  expect(stderr).toMatch(/^ocireg: [^\n]*--cache-dir[^\n]*\n$/);
});

if (await mayMount()) {
  describe("a full disk", () => {
    testWith(
      mountTools,
      "is seen before anything is fetched, and what is missing said",
      async () => {
        await using disk = await mountMemory(32 * MEBIBYTE);
        await using proxy = await startFaultProxy(model.host);
        const words = ["pull", `${proxy.host}/${MODEL}`, "--cache-dir", join(disk.path, "cache")];
        const { code, stderr } = await runOcireg(words);
        expect(code).toBe(7);
        expect(stderr).toMatch(/^ocireg: [^\n]* \(\d+ bytes\) are missing[^\n]*\n$/);
        for (const { digest } of model.shards) expect(proxy.requests("blob", digest)).toBe(0);
      },
    );

    testWith(mountTools, "in the middle keeps what came, and the next pull goes on", async () => {
      await using disk = await mountMemory(64 * MEBIBYTE);
      await using proxy = await startFaultProxy(
        model.host,
        onShards(model, () => ({ rate: 2 * MEBIBYTE })),
      );
      const cache = join(disk.path, "cache");
      const pulling = await startPull(`${proxy.host}/${MODEL}`, cache);
      while (proxy.bytes() < model.size / 4) await Bun.sleep(1);
      // Somebody else takes what was free.
      const filler = join(disk.path, "filler");
      const { bavail, bsize } = statfsSync(disk.path);
      const before = proxy.bytes();
      writeFileSync(filler, new Uint8Array(bavail * bsize - 4 * MEBIBYTE));
      const [code, stderr] = await Promise.all([pulling.exited, pulling.stderr]);
      expect(code).toBe(7);
      expect(stderr).toMatch(/^ocireg: [^\n]* \(\d+ bytes\) are missing[^\n]*\n$/);
      await expectSound(cache, model);

      rmSync(filler);
      proxy.reset();
      proxy.fault = () => undefined;
      const { code: again, stdout } = await runOcireg([
        ...["pull", `${proxy.host}/${MODEL}`, "--cache-dir", cache],
      ]);
      expect(again).toBe(0);
      expect(await digestsBelow(stdout.trimEnd())).toEqual(model.files);
      // Of what had come before the disk was full, not much comes again.
      expect(proxy.bytes()).toBeLessThanOrEqual(model.size - before / 2);
    });
  });

  testWith(
    mountTools,
    "a read-only cache works where all is there, and says it where not",
    async () => {
      await using disk = await mountMemory(128 * MEBIBYTE);
      const cache = join(disk.path, "cache");
      const words = ["pull", `${registry.host}/${MODEL}`, "--cache-dir", cache];
      const first = await runOcireg(words);
      expect(first.code).toBe(0);
      await runChecked([requireTool("mount"), "-o", "remount,ro", disk.path]);
      expect(await runOcireg(words)).toEqual(first);
      expect(await runOcireg([...words, "--offline"])).toEqual(first);

      const empty = ["pull", `${registry.host}/${MODEL}`, "--cache-dir", join(disk.path, "other")];
      const { code, stderr } = await runOcireg(empty);
      expect(code).toBe(7);
      expect(stderr).toContain("read-only");
    },
  );
} else {
  test.skip("disks that are full or read-only (skipped: needs root and mount)", () => {});
}
