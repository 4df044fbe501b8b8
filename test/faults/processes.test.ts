/** Many processes, one cache. */
import { expect, test } from "bun:test";
import { join } from "node:path";
import { temporaryDirectory } from "../support/temp.ts";
import { startPull } from "./compiled.ts";
import { startFaultProxy } from "./proxy.ts";
import { digestsBelow, expectSound, MODEL, startModelRegistry } from "./scenario.ts";

test("ten processes that pull the same model into one cache fetch each byte once", async () => {
  const { registry, model } = await startModelRegistry();
  await using proxy = await startFaultProxy(model.host);
  const cache = join(temporaryDirectory(), "cache");
  const pulls = await Promise.all(
    Array.from({ length: 10 }, () => startPull(`${proxy.host}/${MODEL}`, cache)),
  );
  for (const pulling of pulls) {
    const [code, stderr] = await Promise.all([pulling.exited, pulling.stderr]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  }
  const paths = new Set(await Promise.all(pulls.map(({ stdout }) => stdout)));
  expect(paths.size).toBe(1);
  for (const path of paths) expect(await digestsBelow(path)).toEqual(model.files);
  await expectSound(cache, model);
  expect(proxy.bytes()).toBe(model.size);
  await registry.stop();
}, 60_000);
