/** SIGKILL at random points of a pull: the next one goes on, and fetches little twice. */
import { expect, test } from "bun:test";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import type { TestRegistry } from "../support/registry.ts";
import { temporaryDirectory } from "../support/temp.ts";
import { testLong } from "../support/tools.ts";
import { startPull } from "./compiled.ts";
import { type FaultProxy, startFaultProxy } from "./proxy.ts";
import { randomFractions } from "./random.ts";
import {
  digestsBelow,
  expectSound,
  MEBIBYTE,
  MODEL,
  type ServedModel,
  startModelRegistry,
} from "./scenario.ts";

/** Bytes that may come twice: what no journal had noted. */
const REPEATED = 64e6;
/** Bytes a second of a connection: less than the client takes, so that little waits in sockets. */
const RATE = 6 * MEBIBYTE;
/** Bytes that were sent and not yet received. */
const IN_FLIGHT = 16 * MEBIBYTE;

let registry: TestRegistry;
let model: ServedModel;
let proxy: FaultProxy;

async function serve(bytesPerShard: number): Promise<void> {
  ({ registry, model } = await startModelRegistry({ shards: 1, bytesPerShard }));
  proxy = await startFaultProxy(model.host, () => ({ rate: RATE }));
}

async function stopServing(): Promise<void> {
  await proxy[Symbol.asyncDispose]();
  await registry.stop();
}

/** Pulls until the registry has sent `bytes`, and kills. Returns false where it was done before. */
async function pullAndKill(cache: string, bytes: number): Promise<boolean> {
  const pulling = await startPull(`${proxy.host}/${MODEL}`, cache);
  let ended = false;
  const exited = pulling.exited.then(() => {
    ended = true;
  });
  while (proxy.bytes() < bytes && !ended) await Bun.sleep(1);
  const isEarly = !ended;
  pulling.kill();
  await exited;
  await expectSound(cache, model);
  return isEarly;
}

async function pullToTheEnd(cache: string): Promise<void> {
  const pulling = await startPull(`${proxy.host}/${MODEL}`, cache);
  const [code, stderr, path] = await Promise.all([pulling.exited, pulling.stderr, pulling.stdout]);
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  expect(await digestsBelow(path)).toEqual(model.files);
  await expectSound(cache, model);
}

/** Kills at one point and goes on, each point in a cache of its own. */
async function killAtEach(fractions: readonly number[]): Promise<void> {
  for (const fraction of fractions) {
    const cache = join(temporaryDirectory(), "cache");
    proxy.reset();
    await pullAndKill(cache, fraction * model.size);
    await pullToTheEnd(cache);
    expect({ fraction, bytes: proxy.bytes() }).toSatisfy(
      ({ bytes }) => bytes <= model.size + REPEATED + IN_FLIGHT,
    );
  }
}

test("a pull that is killed goes on where it was", async () => {
  await serve(192 * MEBIBYTE);
  // Late enough that starting again would show in the bytes.
  await killAtEach(randomFractions(3).map((fraction) => 0.6 + 0.4 * fraction));
  await stopServing();
}, 120_000);

test("a pull that is killed again and again ends", async () => {
  await serve(96 * MEBIBYTE);
  const cache = join(temporaryDirectory(), "cache");
  for (const fraction of randomFractions(5).sort()) {
    await pullAndKill(cache, fraction * model.size);
  }
  await pullToTheEnd(cache);
  await stopServing();
}, 120_000);

testLong(
  "at 20 points a pull that is killed goes on where it was",
  async () => {
    await serve(1024 * MEBIBYTE);
    await killAtEach(randomFractions(20));
    await stopServing();
  },
  { timeout: 1_800_000 },
);

testLong("a pull that is stopped for a while goes on when it may", async () => {
  await serve(96 * MEBIBYTE);
  const cache = join(temporaryDirectory(), "cache");
  const pulling = await startPull(`${proxy.host}/${MODEL}`, cache);
  while (proxy.bytes() < model.size / 4) await Bun.sleep(1);
  process.kill(pulling.pid, "SIGSTOP");
  // More than half of what others wait for a sign of life.
  await Bun.sleep(8000);
  process.kill(pulling.pid, "SIGCONT");
  const [code, stderr, path] = await Promise.all([pulling.exited, pulling.stderr, pulling.stdout]);
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  expect(await digestsBelow(path)).toEqual(model.files);
  expect(proxy.bytes()).toBeLessThan(model.size + REPEATED);
  await stopServing();
});

testLong("a pull that is stopped until another has taken over does no harm, and ends", async () => {
  await serve(96 * MEBIBYTE);
  const cache = join(temporaryDirectory(), "cache");
  const stopped = await startPull(`${proxy.host}/${MODEL}`, cache);
  while (proxy.bytes() < model.size / 4) await Bun.sleep(1);
  process.kill(stopped.pid, "SIGSTOP");
  await pullToTheEnd(cache);
  process.kill(stopped.pid, "SIGCONT");
  const [code, stderr, path] = await Promise.all([stopped.exited, stopped.stderr, stopped.stdout]);
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  expect(await digestsBelow(path)).toEqual(model.files);
  await expectSound(cache, model);
  expect(readdirSync(join(cache, "partial"))).toEqual([]);
  await stopServing();
});
