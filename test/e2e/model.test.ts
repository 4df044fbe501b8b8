import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import {
  existsSync,
  readdirSync,
  readFileSync,
  realpathSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { type MadeModel, makeModel } from "../support/model.ts";
import { temporaryDirectory } from "../support/temp.ts";
import { ocireg, type Served, startServe } from "./ocireg.ts";

const digest = /^sha256:[a-f0-9]{64}$/;
let served: Served;
let directory: string;
let made: MadeModel;
let pushed: string;

beforeAll(async () => {
  served = await startServe(["--log-level", "error"]);
  directory = join(temporaryDirectory(), "model");
  made = await makeModel(directory);
  const { code, stdout, stderr } = await ocireg(["push", directory, `${served.host}/org/model:v1`]);
  expect({ code, stderr: stderr.includes("ocireg:") }).toEqual({ code: 0, stderr: false });
  pushed = stdout;
}, 60_000);

afterAll(() => served.stop());

describe("push", () => {
  test("prints the reference by digest, alone on a line", () => {
    expect(pushed).toMatch(/^127\.0\.0\.1:\d+\/org\/model@sha256:[a-f0-9]{64}\n$/);
  });

  test("of something that isn't there exits with 3 or 2 and says so", async () => {
    const { code, stdout, stderr } = await ocireg(["push", "/nowhere/model", `${served.host}/a`]);
    expect([2, 3]).toContain(code);
    expect(stdout).toBe("");
    expect(stderr).toMatch(/^ocireg: [^\n]*nowhere[^\n]*\n$/);
  });
});

describe("attach", () => {
  test("prints the attachment's reference by digest, which referrers ls lists", async () => {
    const directory = temporaryDirectory();
    const files = ["sbom.spdx.json", "report.txt"].map((name) => join(directory, name));
    for (const file of files) writeFileSync(file, "{}");
    const type = ["--artifact-type", "application/spdx+json"];
    const { code, stdout } = await ocireg(["attach", pushed.trimEnd(), ...files, ...type]);
    expect({ code, stdout }).toEqual({ code: 0, stdout: expect.stringMatching(/^127.*@sha256/) });
    const listed = await ocireg(["referrers", "ls", `${served.host}/org/model:v1`]);
    const [, attached] = stdout.trimEnd().split("@");
    expect(listed.stdout).toMatch(new RegExp(`^${attached}\tapplication/spdx\\+json\t\\d+\n$`));
  });
});

describe("pull", () => {
  test("prints the path alone on a line; it holds every byte", async () => {
    const cache = temporaryDirectory();
    const { code, stdout } = await ocireg([
      "pull",
      `${served.host}/org/model:v1`,
      "--cache-dir",
      cache,
    ]);
    expect(code).toBe(0);
    expect(stdout).toMatch(/^\/[^\n]+\n$/);
    const path = stdout.trimEnd();
    expect(realpathSync(path)).toStartWith(realpathSync(cache));
    for (const name of made.files) {
      expect([
        name,
        readFileSync(join(path, name)).equals(readFileSync(join(directory, name))),
      ]).toEqual([name, true]);
    }
    const again = await ocireg([
      "pull",
      "--offline",
      `${served.host}/org/model:v1`,
      "--cache-dir",
      cache,
    ]);
    expect({ code: again.code, stdout: again.stdout }).toEqual({ code: 0, stdout });
  });

  test("takes its settings from the environment too", async () => {
    const cache = temporaryDirectory();
    const env = { OCIREG_CACHE_DIR: cache, OCIREG_JSON: "true", OCIREG_PROGRESS: "none" };
    const { code, stdout, stderr } = await ocireg(["pull", `${served.host}/org/model:v1`], { env });
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(JSON.parse(stdout)).toEqual({
      reference: `${served.host}/org/model:v1`,
      digest: pushed.trimEnd().split("@")[1],
      path: expect.stringMatching(/\/model$/),
      format: expect.any(String),
    });
  });

  test("into a directory shows the files there", async () => {
    const output = join(temporaryDirectory(), "out");
    const { code, stdout } = await ocireg(["pull", pushed.trimEnd(), "-o", output]);
    expect({ code, stdout }).toEqual({ code: 0, stdout: `${output}\n` });
    expect(readdirSync(output)).toEqual(expect.arrayContaining(made.files));
  });

  test("says as JSON on stderr how far it is", async () => {
    const words = [
      "pull",
      `${served.host}/org/model:v1`,
      "--progress=json",
      "--cache-dir",
      temporaryDirectory(),
    ];
    const { code, stderr } = await ocireg(words);
    expect(code).toBe(0);
    const events = stderr
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line));
    expect(events[0]).toMatchObject({ type: "start", completed: 0, total: expect.any(Number) });
    expect(events.at(-1)).toMatchObject({ type: "done", completed: events[0].total });
    const verified = events.filter((event) => event.type === "verified");
    expect(verified.flatMap((event) => event.blobs ?? event).length).toBeGreaterThanOrEqual(2);
  });

  test("of a blob that was corrupted exits with 6 and leaves nothing in the cache", async () => {
    const other = join(temporaryDirectory(), "model");
    await makeModel(other, { seed: 99 });
    expect((await ocireg(["push", other, `${served.host}/org/broken`])).code).toBe(0);
    const { stdout } = await ocireg(["manifest", "get", `${served.host}/org/broken`]);
    const weights = JSON.parse(stdout).layers[0].digest as string;
    const hex = weights.slice("sha256:".length);
    const data = join(served.root, "docker/registry/v2/blobs/sha256", hex.slice(0, 2), hex, "data");
    const bytes = readFileSync(data);
    bytes[1000] = (bytes[1000] ?? 0) ^ 1;
    truncateSync(data);
    writeFileSync(data, bytes);

    const cache = temporaryDirectory();
    const words = ["pull", `${served.host}/org/broken`, "--cache-dir", cache, "--progress", "none"];
    const pulled = await ocireg(words);
    expect({ code: pulled.code, stdout: pulled.stdout }).toEqual({ code: 6, stdout: "" });
    expect(pulled.stderr).toMatch(/^ocireg: [^\n]+\n$/);
    expect(pulled.stderr).toContain(hex);
    expect(existsSync(join(cache, "blobs/sha256", hex))).toBe(false);
    expect((await ocireg([...words, "--offline"])).code).toBe(8);
  });
});

describe("resolve", () => {
  test("prints what a reference means, without pulling it where that is asked for", async () => {
    const cache = temporaryDirectory();
    const words = [
      "resolve",
      `${served.host}/org/model:v1`,
      "--cache-dir",
      cache,
      "--progress",
      "none",
    ];
    const first = await ocireg([...words, "--no-pull"]);
    expect({ code: first.code, stderr: first.stderr }).toEqual({ code: 0, stderr: "" });
    const expected = {
      reference: `${served.host}/org/model:v1`,
      digest: expect.stringMatching(digest),
      format: expect.any(String),
    };
    expect(JSON.parse(first.stdout)).toEqual({ ...expected, path: null });
    const second = await ocireg(words);
    expect(JSON.parse(second.stdout)).toEqual({ ...expected, path: expect.stringMatching(/^\//) });
    expect(existsSync(JSON.parse(second.stdout).path)).toBe(true);
  });
});

describe("inspect", () => {
  test("shows what is in a reference, for people and for machines", async () => {
    const text = await ocireg(["inspect", `${served.host}/org/model:v1`]);
    expect({ code: text.code, stderr: text.stderr }).toEqual({ code: 0, stderr: "" });
    for (const name of made.shards) expect(text.stdout).toContain(name);
    const json = await ocireg(["inspect", "--json", `${served.host}/org/model:v1`]);
    expect(json.code).toBe(0);
    const paths = JSON.parse(json.stdout).files.map((file: { path: string }) => file.path);
    expect(paths).toEqual(expect.arrayContaining(made.shards));
  });
});

describe("cache path", () => {
  test("prints where the cache is, by flag, by environment and by default", async () => {
    const at = async (words: string[], env: Record<string, string>) =>
      (await ocireg(["cache", "path", ...words], { env })).stdout;
    expect(await at(["--cache-dir", "/a"], { OCIREG_CACHE_DIR: "/b" })).toBe("/a\n");
    expect(await at([], { OCIREG_CACHE_DIR: "/b", VLLM_CACHE_ROOT: "/c" })).toBe("/b\n");
    expect(await at([], { VLLM_CACHE_ROOT: "/c", XDG_CACHE_HOME: "/d" })).toBe("/c/oci\n");
    expect(await at([], { XDG_CACHE_HOME: "/d" })).toBe("/d/vllm/oci\n");
    expect(await at([], { HOME: "/e" })).toBe("/e/.cache/vllm/oci\n");
  });
});
