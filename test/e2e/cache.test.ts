/** The cache commands and the cache itself, by the compiled executable in real processes. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import {
  chmodSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { compiledBinary } from "../support/binary.ts";
import { makeModel } from "../support/model.ts";
import { mayMount, mountMemory, mountTools } from "../support/mount.ts";
import { runChecked } from "../support/programs.ts";
import { type Serving, startServing } from "../support/serving.ts";
import { temporaryDirectory } from "../support/temp.ts";
import { testWith } from "../support/tools.ts";
import { ocireg } from "./ocireg.ts";

let serving: Serving;
beforeAll(async () => {
  serving = await startServing();
  for (const [tag, seed] of [
    ["one", 1],
    ["two", 2],
    ["three", 3],
  ] as const)
    await publish(tag, seed);
});
afterAll(async () => {
  await serving.stop();
});

/** Pushes a model of its own for each seed, and says where it is. */
async function publish(tag: string, seed: number): Promise<string> {
  const model = temporaryDirectory();
  await makeModel(model, { shards: 2, bytesPerShard: 64 * 1024, seed });
  const { code, stderr } = await ocireg(["push", model, refer(tag), "--format", "docker-v0.1"]);
  expect({ code, stderr: code === 0 ? "" : stderr }).toEqual({ code: 0, stderr: "" });
  return model;
}

const refer = (tag: string) => `${serving.host}/user/cached:${tag}`;
const newCache = () => join(temporaryDirectory(), "cache");

/** Runs a command on a cache; it has to succeed. */
async function succeed(cache: string, ...words: string[]): Promise<string> {
  const { code, stdout, stderr } = await ocireg([...words, "--cache-dir", cache]);
  expect({ words, code, stderr: code === 0 ? "" : stderr }).toEqual({ words, code: 0, stderr: "" });
  return stdout.trimEnd();
}

describe("ocireg cache", () => {
  test("lists, removes, prunes and verifies", async () => {
    const cache = newCache();
    const path = await succeed(cache, "pull", refer("one"));
    await succeed(cache, "pull", refer("two"), "--include", "model-00001-*");
    const lines = (await succeed(cache, "cache", "ls")).split("\n");
    expect(lines[0]).toMatch(/^SIZE +DIGEST +USED +STATE +REFERENCE$/);
    expect(lines[1]).toMatch(new RegExp(`sha256:[a-f0-9]{12} +now +partial +${refer("two")}$`));
    expect(lines[2]).toMatch(new RegExp(`sha256:[a-f0-9]{12} +now +complete +${refer("one")}$`));
    expect(lines[3]).toMatch(/ in 2 models$/);
    const listed = JSON.parse(await succeed(cache, "cache", "ls", "--json"));
    expect(listed.views[1]).toMatchObject({
      references: [{ reference: refer("one") }],
      state: "complete",
      format: "docker",
      path,
    });
    expect(listed).toMatchObject({ path: cache, unused: 0, unfinished: 0 });

    const shard = join(path, "model-00001-of-00002.safetensors");
    const bytes = readFileSync(shard);
    chmodSync(shard, 0o644);
    writeFileSync(shard, bytes.fill(0, bytes.length - 10));
    const verified = await ocireg(["cache", "verify", refer("one"), "--cache-dir", cache]);
    expect(verified.code).toBe(6);
    expect(verified.stdout).toContain("/model/model-00001-of-00002.safetensors\n");
    expect(verified.stderr.trimEnd().split("\n").at(-1)).toMatch(/^ocireg: \d damaged files/);
    expect(await succeed(cache, "pull", refer("one"))).toBe(path);
    expect(await succeed(cache, "cache", "verify")).toMatch(/^\d+ files are right, .* read$/);

    const dry = await succeed(cache, "cache", "rm", refer("one"), "--dry-run");
    expect(dry).toStartWith(`would forget ${refer("one")}\nwould remove sha256:`);
    const removed = await succeed(cache, "cache", "rm", refer("one"));
    expect(removed).toMatch(/^forgot .*\nremoved sha256:[a-f0-9]{64}\nfreed .* \(\d+ blobs\)$/);
    const pruned = JSON.parse(
      await succeed(cache, "cache", "prune", "--older-than", "0", "--json"),
    );
    expect(pruned).toMatchObject({ dryRun: false, references: [refer("two")], kept: [] });
    expect(await succeed(cache, "cache", "ls")).toBe("0 B in 0 models");
  }, 60_000);

  test("says what isn't there, and what it wants", async () => {
    const cache = newCache();
    const codes = async (...words: string[]) =>
      (await ocireg([...words, "--cache-dir", cache])).code;
    expect(await codes("cache", "rm", "user/nothing:here")).toBe(3);
    expect(await codes("cache", "verify", "user/nothing:here")).toBe(3);
    expect(await codes("cache", "rm", "NOT A REFERENCE")).toBe(2);
    expect(await codes("cache", "rm")).toBe(2);
    expect(await codes("cache", "prune", "--older-than", "soon")).toBe(2);
  });

  test("proposes the references that it has to a shell", async () => {
    const OCIREG_CACHE_DIR = newCache();
    await succeed(OCIREG_CACHE_DIR, "pull", refer("one"));
    const { stdout } = await ocireg(["__complete", "cache", "rm", "127."], {
      env: { OCIREG_CACHE_DIR },
    });
    expect(stdout.split("\t")[0]).toBe(refer("one"));
  });

  test("is safe beside pulls of other processes", async () => {
    const cache = newCache();
    const binary = await compiledBinary();
    const tags = ["one", "two", "three"];
    let isOver = false;
    const sweeping = ["prune --older-than 0", "prune --keep-size 100KB"].map(async (words) => {
      while (!isOver) await succeed(cache, "cache", ...words.split(" "));
    });
    const pulling = tags.map(async (tag) => {
      for (let round = 0; round < 8; round++) {
        expect(await runChecked([binary, "pull", "--cache-dir", cache, refer(tag)])).toEndWith(
          "/model",
        );
      }
    });
    await Promise.all(pulling);
    isOver = true;
    await Promise.all(sweeping);
    expect(readdirSync(join(cache, "partial"))).toEqual([]);
    for (const tag of tags) await succeed(cache, "pull", refer(tag));
    await succeed(cache, "cache", "verify");
  }, 120_000);
});

describe("a tag that moves", () => {
  test("switches its name at once, and a process that has the old view open keeps it", async () => {
    const cache = newCache();
    await publish("moving", 10);
    const old = await succeed(cache, "pull", refer("moving"));
    const file = join(old, "model-00001-of-00002.safetensors");
    const content = readFileSync(file);
    // An engine at work: it has one file open, opens another later, and works in the directory.
    const engine = Bun.spawn(
      [
        "sh",
        "-c",
        `exec 3<"${file}"; echo open; read go; cat <&3; cat model-00002-of-00002.safetensors`,
      ],
      { cwd: old, stdin: "pipe", stdout: "pipe" },
    );
    const said = engine.stdout.getReader();
    await said.read();

    const name = join(cache, refer("moving").replace(/[/:]/g, "_"));
    const seen = new Set<string>();
    let isOver = false;
    const watching = (async () => {
      while (!isOver) {
        // It throws when the name isn't there.
        seen.add(readlinkSync(name));
        readdirSync(join(name, "model"));
        await Bun.sleep(0);
      }
    })();
    let latest = old;
    for (const seed of [11, 12, 13]) {
      await publish("moving", seed);
      const [path] = await Promise.all([1, 2].map(() => succeed(cache, "pull", refer("moving"))));
      expect(path).not.toBe(latest);
      latest = path ?? "";
    }
    isOver = true;
    await watching;
    expect(seen.size).toBeGreaterThan(1);
    expect(join(cache, readlinkSync(name), "model")).toBe(latest);

    engine.stdin.write("go\n");
    await engine.stdin.end();
    const parts: Uint8Array[] = [];
    for (;;) {
      const { value, done } = await said.read();
      if (done) break;
      parts.push(value);
    }
    const read = Buffer.concat(parts);
    expect(read.subarray(0, content.length).equals(content)).toBe(true);
    expect(await engine.exited).toBe(0);
  }, 120_000);
});

describe("a cache that can't be written", () => {
  const isMountable = mayMount();

  testWith(mountTools, "serves what it has", async () => {
    if (!(await isMountable)) return;
    await using mounted = await mountMemory(64 * 1024 * 1024);
    const cache = join(mounted.path, "cache");
    const path = await succeed(cache, "pull", refer("one"));
    await succeed(cache, "pull", refer("two"), "--include", "model-00001-*");
    await runChecked(["mount", "-o", "remount,ro", mounted.path]);
    expect(await succeed(cache, "pull", refer("one"))).toBe(path);
    expect(await succeed(cache, "pull", refer("one"), "--offline")).toBe(path);
    expect(JSON.parse(await succeed(cache, "resolve", refer("one"))).path).toBe(path);
    const digest = JSON.parse(await succeed(cache, "resolve", refer("one"))).digest;
    expect(await succeed(cache, "pull", `${refer("one")}@${digest}`)).toBe(path);
    await succeed(cache, "pull", refer("two"), "--include", "model-00001-*");
    expect(await succeed(cache, "cache", "ls")).toContain(refer("one"));
    await succeed(cache, "cache", "verify");
    await succeed(cache, "cache", "prune", "--older-than", "0", "--dry-run");
    const missing = await ocireg(["pull", refer("two"), "--offline", "--cache-dir", cache]);
    expect(missing.code).toBe(8);
    const unwritable = await ocireg(["pull", refer("three"), "--cache-dir", cache]);
    expect(unwritable.code).toBe(7);
    expect(unwritable.stderr).toContain("--cache-dir");
    expect((await ocireg(["cache", "rm", refer("one"), "--cache-dir", cache])).code).toBe(7);
  });

  test("gets one line that says --cache-dir", async () => {
    const home = join(temporaryDirectory(), "home");
    writeFileSync(home, "no directory");
    const { code, stdout, stderr } = await ocireg(["pull", refer("one")], { env: { HOME: home } });
    expect({ code, stdout }).toEqual({ code: 7, stdout: "" });
    expect(stderr).toMatch(/^ocireg: can't write locally: .*--cache-dir\n$/);
  });

  testWith("setpriv", "gets it for a HOME of somebody else too", async () => {
    if (process.getuid?.() !== 0) return;
    const home = temporaryDirectory();
    mkdirSync(join(home, "sub"));
    chmodSync(home, 0o755);
    const command = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"];
    const child = Bun.spawn([...command, await compiledBinary(), "pull", refer("one")], {
      env: { PATH: process.env["PATH"], HOME: home },
      stdout: "pipe",
      stderr: "pipe",
    });
    const stderr = await new Response(child.stderr).text();
    expect(await child.exited).toBe(7);
    expect(stderr).toMatch(/permission denied at .*\.cache.*--cache-dir\n$/);
    expect(stderr.trimEnd().split("\n")).toHaveLength(1);
  });
});

test("offline needs no registry at all", async () => {
  const cache = newCache();
  const gone = await startServing();
  const reference = `${gone.host}/user/gone:v1`;
  const model = temporaryDirectory();
  await makeModel(model, { shards: 1 });
  expect((await ocireg(["push", model, reference])).code).toBe(0);
  const path = await succeed(cache, "pull", reference);
  await gone.stop();
  let connections = 0;
  const [, port] = gone.host.split(":");
  using _ = Bun.listen({
    hostname: "127.0.0.1",
    port: Number(port),
    socket: { open: () => void connections++, data() {} },
  });
  expect(await succeed(cache, "pull", "--offline", reference)).toBe(path);
  expect(await succeed(cache, "pull", "--offline", "--verify", reference)).toBe(path);
  expect(JSON.parse(await succeed(cache, "resolve", "--offline", reference)).path).toBe(path);
  expect(connections).toBe(0);
});
