/** The compiled executable on a pseudo-terminal, over a link that is slow enough to be watched. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { join } from "node:path";
import { compiledBinary } from "../support/binary.ts";
import { makeModel } from "../support/model.ts";
import { type Serving, startServing } from "../support/serving.ts";
import { type SlowProxy, startSlowProxy } from "../support/slow-proxy.ts";
import { temporaryDirectory } from "../support/temp.ts";
import { runOnTerminal } from "../support/terminal.ts";
import { cleanEnvironment, ocireg } from "./ocireg.ts";

let serving: Serving;
let proxy: SlowProxy;
beforeAll(async () => {
  serving = await startServing();
  const model = temporaryDirectory();
  await makeModel(model, { shards: 3, bytesPerShard: 450_000 });
  const pushed = await ocireg(["push", model, `${serving.host}/user/model:v1`]);
  expect(pushed.code).toBe(0);
  proxy = startSlowProxy(serving.url, 250_000);
});
afterAll(async () => {
  proxy[Symbol.dispose]();
  await serving.stop();
});

async function pulling(columns: number, rows = 24, ...flags: string[]) {
  const cache = join(temporaryDirectory(), "cache");
  const words = ["pull", "--cache-dir", cache, ...flags, `${proxy.host}/user/model:v1`];
  const env = { ...process.env, ...cleanEnvironment(), TERM: "xterm-256color" };
  return { cache, run: runOnTerminal([await compiledBinary(), ...words], env, columns, rows) };
}

const shards = ["model-00001-of-00003", "model-00002-of-00003", "model-00003-of-00003"];
const stays = /^(to transfer: |verified |done: |\/)/;

describe("a pull on a terminal", () => {
  test("shows a line a blob and the total, and leaves what was verified and the path", async () => {
    const { run, cache } = await pulling(240);
    await run.until(
      /^model-0000\d-of-00003\.safetensors +\[[=> ]+\] +\d+% .*\/s .*\n.*total +\[/ms,
    );
    expect(await run.exited).toBe(0);
    const lines = run.screen.text();
    for (const line of lines) expect(line).toMatch(stays);
    for (const shard of shards) expect(lines).toContain(`verified ${shard}.safetensors`);
    expect(lines.at(-1)).toStartWith(join(cache, "views"));
    expect(run.screen.isAtLineStart).toBe(true);
  }, 60_000);

  test.each([40, 20])(
    "leaves no rubbish in %d columns",
    async (columns) => {
      const { run } = await pulling(columns);
      await run.until(/total +\d+%/);
      expect(await run.exited).toBe(0);
      expect(run.screen.text().filter((line) => /%|total/.test(line))).toEqual([]);
      expect(run.sent()).not.toContain("\u001b[?");
    },
    60_000,
  );

  test("survives a window that changes its size", async () => {
    // So many rows that the lines fit when they are wrapped: what has scrolled away nobody can erase.
    const { run } = await pulling(120, 60);
    for (const columns of [40, 100, 24, 77, 60]) {
      await run.until(/total/);
      await run.resize(columns, 60);
      await Bun.sleep(300);
    }
    await run.resize(400, 60);
    expect(await run.exited).toBe(0);
    for (const line of run.screen.text()) expect(line).toMatch(stays);
  }, 60_000);

  test("leaves nothing but its last word after Ctrl-C, once or twice", async () => {
    for (const keys of ["\u0003", "\u0003\u0003"]) {
      const { run } = await pulling(80);
      await run.until(/total +\[/);
      run.type(keys);
      expect(await run.exited).toBe(130);
      const lines = run.screen.text().filter((line) => !stays.test(line));
      if (keys.length === 1) expect(lines).toEqual(["ocireg: interrupted"]);
      else expect(lines.filter((line) => line !== "ocireg: interrupted")).toEqual([]);
      expect(run.screen.isAtLineStart).toBe(true);
    }
  }, 60_000);

  test("leaves nothing but the error when it fails", async () => {
    const { run } = await pulling(200, 24, "--output", "/proc/nowhere");
    expect(await run.exited).toBe(7);
    expect(run.screen.text()).toHaveLength(1);
    expect(run.screen.isAtLineStart).toBe(true);
  }, 60_000);

  test("is lines when the terminal can't move its cursor, and nothing with none", async () => {
    const cache = join(temporaryDirectory(), "cache");
    const words = ["pull", "--cache-dir", cache, `${serving.host}/user/model:v1`];
    const command = [await compiledBinary(), ...words];
    const env = { ...process.env, ...cleanEnvironment() };
    const dumb = runOnTerminal(command, { ...env, TERM: "dumb" });
    expect(await dumb.exited).toBe(0);
    expect(dumb.sent()).not.toContain("\u001b");
    const silent = runOnTerminal([...command, "--progress", "none"], env, 300);
    expect(await silent.exited).toBe(0);
    expect(silent.screen.text()).toHaveLength(1);
  }, 60_000);
});
