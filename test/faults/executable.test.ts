/** What a script sees of the executable when a pull fails: the exit code, one line, and no path. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { join } from "node:path";
import type { TestRegistry } from "../support/registry.ts";
import { temporaryDirectory } from "../support/temp.ts";
import type { Behaviour } from "./behaviour.ts";
import { runOcireg } from "./compiled.ts";
import { startFaultProxy } from "./proxy.ts";
import {
  digestsBelow,
  expectSound,
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

/** Pulls from a registry whose weights come so, into a cache that is checked, and then without. */
async function pullWith(behaviour: (number: number) => Behaviour | undefined) {
  await using proxy = await startFaultProxy(model.host, onShards(model, behaviour));
  const cache = join(temporaryDirectory(), "cache");
  const words = ["pull", `${proxy.host}/${MODEL}`, "--cache-dir", cache, "--stall-timeout", "1s"];
  const result = await runOcireg(words);
  await expectSound(cache, model);
  if (result.code === 0) return result;

  expect(result.stdout).toBe("");
  expect(result.stderr).toMatch(/^ocireg: [^\n]+\n$/);
  proxy.fault = () => undefined;
  const again = await runOcireg(words);
  expect({ code: again.code, stderr: again.stderr }).toEqual({ code: 0, stderr: "" });
  expect(await digestsBelow(again.stdout.trimEnd())).toEqual(model.files);
  return result;
}

test("0: connections that break, and a registry that is busy for a moment", async () => {
  const { code, stdout } = await pullWith((number) => {
    if (number % 4 === 1) return { cutAfter: number * 100_000 };
    return number % 4 === 2 ? { answer: { status: 503 } } : undefined;
  });
  expect(code).toBe(0);
  expect(await digestsBelow(stdout.trimEnd())).toEqual(model.files);
});

test.each([
  [3, "a blob that isn't there", { answer: { status: 404 } }],
  [4, "a blob that is refused", { answer: { status: 403 } }],
  [5, "connections that fall silent", { stallAfter: 0 }],
  [5, "connections that break before a byte", { cutAfter: 0 }],
  [5, "a registry that is busy for good", { answer: { status: 503 } }],
  [6, "other bytes", { change: (chunk: Uint8Array) => chunk.fill(7) }],
  [6, "redirects in circles", { answer: { status: 307, headers: { location: "?" } } }],
] as [number, string, Behaviour][])(
  "%d: %s; and the next pull ends well",
  async (code, _, fault) => {
    expect((await pullWith(() => fault)).code).toBe(code);
  },
);

test("5: a name that no host has, as soon as --connect-timeout says", async () => {
  const words = ["pull", "registry.invalid/models/small", "--connect-timeout", "2s"];
  const { code, stderr } = await runOcireg(words);
  expect(code).toBe(5);
  expect(stderr).toMatch(/^ocireg: [^\n]*registry\.invalid[^\n]*\n$/);
});
