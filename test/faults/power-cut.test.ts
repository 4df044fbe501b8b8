/** A power cut in the middle of a pull: the next one never takes for data what isn't on the disk. */
import { expect } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { compiledBinary } from "../support/binary.ts";
import { mayMount } from "../support/mount.ts";
import { mountDisk, powerCutTools } from "../support/power-cut.ts";
import { runChecked } from "../support/programs.ts";
import { temporaryDirectory } from "../support/temp.ts";
import { testWith } from "../support/tools.ts";
import { startPull } from "./compiled.ts";
import { startFaultProxy } from "./proxy.ts";
import { randomFractions } from "./random.ts";
import { digestsBelow, expectSound, MEBIBYTE, MODEL, startModelRegistry } from "./scenario.ts";

/**
 * Runs a command as if the machine had been started anew: with another boot id, in a mount namespace
 * of its own.
 */
async function runAfterBoot(command: readonly string[]): Promise<string> {
  const id = join(temporaryDirectory(), "boot_id");
  writeFileSync(id, `${crypto.randomUUID()}\n`);
  const script = 'mount --bind "$0" /proc/sys/kernel/random/boot_id && exec "$@"';
  return runChecked(["unshare", "--mount", "sh", "-c", script, id, ...command]);
}

if (process.env["OCIREG_TEST_LONG"] === "1" && (await mayMount())) {
  testWith(
    [...powerCutTools, "unshare"],
    "after a power cut a pull goes on and ends with the right bytes",
    async () => {
      const { registry, model } = await startModelRegistry({ bytesPerShard: 128 * MEBIBYTE });
      await using proxy = await startFaultProxy(model.host, () => ({ rate: 4 * MEBIBYTE }));
      const reference = `${proxy.host}/${MODEL}`;
      for (const fraction of [...randomFractions(6), 1]) {
        await using disk = await mountDisk(1024 * MEBIBYTE);
        proxy.reset();
        const pulling = await startPull(reference, join(disk.path, "cache"));
        let ended = false;
        const exited = pulling.exited.then(() => {
          ended = true;
        });
        while (proxy.bytes() < fraction * model.size && !ended) await Bun.sleep(1);
        // At its end the pull has said that all is there: then it must be.
        if (fraction === 1) await exited;
        await using found = await disk.cut();
        pulling.kill();
        await exited;

        const cache = join(found.path, "cache");
        await expectSound(cache, model);
        const fetched = proxy.bytes();
        const path = await runAfterBoot([
          ...[await compiledBinary(), "pull", reference, "--cache-dir", cache],
          "--progress=none",
        ]);
        expect(await digestsBelow(path)).toEqual(model.files);
        await expectSound(cache, model);
        if (fraction === 1) expect(proxy.bytes()).toBe(fetched);
      }
      await registry.stop();
    },
    { timeout: 600_000 },
  );
}
