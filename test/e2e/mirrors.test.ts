/** A model that comes from mirrors: three registries and the executable itself. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { cpSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type MadeModel, makeModel } from "../support/model.ts";
import type { CommandResult } from "../support/programs.ts";
import { type Serving, startServing } from "../support/serving.ts";
import { temporaryDirectory } from "../support/temp.ts";
import { ocireg } from "./ocireg.ts";

const directory = join(temporaryDirectory(), "model");
let made: MadeModel;
let registry: Serving;
/** Has the same as the registry, and no tags that are newer. */
let mirror: Serving;
/** Has it too, but one byte of each blob is wrong. */
let liar: Serving;

beforeAll(async () => {
  made = await makeModel(directory);
  registry = await startServing();
  const { code } = await ocireg(["push", directory, reference()]);
  expect(code).toBe(0);
  const [copy, damaged] = [temporaryDirectory(), temporaryDirectory()];
  cpSync(registry.root, copy, { recursive: true });
  cpSync(registry.root, damaged, { recursive: true });
  for (const name of readdirSync(damaged, { recursive: true, encoding: "utf8" })) {
    if (name.includes("/blobs/") && name.endsWith("/data")) damage(join(damaged, name));
  }
  [mirror, liar] = await Promise.all([startServing(copy), startServing(damaged)]);
}, 60_000);
afterAll(() => Promise.all([registry, mirror, liar].map((server) => server.stop())));

const reference = () => `${registry.host}/org/model:v1`;

function damage(path: string): void {
  const bytes = readFileSync(path);
  const index = Math.floor(statSync(path).size / 2);
  bytes[index] = (bytes[index] ?? 0) ^ 1;
  writeFileSync(path, bytes);
}

/** Pulls into a fresh cache, and returns which blobs and manifests each server was asked for. */
async function pull(env: Record<string, string>, ...words: string[]) {
  const servers = { registry, mirror, liar };
  const before = Object.fromEntries(
    Object.entries(servers).map(([name, server]) => [name, server.output().length]),
  );
  const cache = temporaryDirectory();
  const result = await ocireg(["pull", reference(), "--cache-dir", cache, ...words], { env });
  const asked = Object.fromEntries(
    Object.entries(servers).map(([name, server]) => {
      const log = server.output().slice(before[name]);
      const count = (what: string) => log.split(`/${what}/`).length - 1;
      return [name, { manifests: count("manifests"), blobs: count("blobs") }];
    }),
  );
  return { ...result, asked };
}

function expectTheModel({ code, stdout, stderr }: CommandResult): void {
  expect({ code, stderr }).toMatchObject({ code: 0 });
  for (const name of made.files) {
    const isSame = readFileSync(join(stdout.trimEnd(), name)).equals(
      readFileSync(join(directory, name)),
    );
    expect([name, isSame]).toEqual([name, true]);
  }
}

/** A directory of hosts for the registry. */
function hostsDirectory(toml: string): string {
  const root = temporaryDirectory();
  mkdirSync(join(root, registry.host));
  writeFileSync(join(root, registry.host, "hosts.toml"), toml);
  return root;
}

describe("pull", () => {
  test("gets content from the mirrors that OCIREG_MIRRORS names, and the tag from the registry", async () => {
    const result = await pull({ OCIREG_MIRRORS: `${registry.host}=${mirror.url}` });
    expectTheModel(result);
    expect(result.asked["registry"]).toEqual({ manifests: 1, blobs: 0 });
    expect(result.asked["mirror"]?.blobs).toBeGreaterThan(0);
  });

  test("gets all from a mirror of hosts.toml that resolves tags", async () => {
    const result = await pull({}, "--hosts-dir", hostsDirectory(`[host."${mirror.url}"]`));
    expectTheModel(result);
    expect(result.asked["registry"]).toEqual({ manifests: 0, blobs: 0 });
  });

  test("names a mirror that isn't there, once, and goes on without", async () => {
    const absent = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data() {} } });
    const url = `http://127.0.0.1:${absent.port}`;
    absent.stop(true);
    const env = { OCIREG_MIRRORS: `${registry.host}=${url},${mirror.url}` };
    const result = await pull(env, "--progress", "plain");
    expectTheModel(result);
    expect(result.stderr.split(`the mirror ${url}`)).toHaveLength(2);
    expect(result.asked["registry"]).toEqual({ manifests: 1, blobs: 0 });
  });

  test("names a mirror that sends wrong bytes, and gets the right ones elsewhere", async () => {
    const env = { OCIREG_MIRRORS: `${registry.host}=${liar.url}` };
    const result = await pull(env, "--progress", "plain");
    expectTheModel(result);
    expect(result.stderr).toContain(`the mirror ${liar.url} of ${registry.host} is dropped`);
    expect(result.stderr.split("is dropped")).toHaveLength(2);
    expect(result.asked["registry"]?.blobs).toBeGreaterThan(0);
  });

  test("takes no tag from a mirror that has another manifest by its digest", async () => {
    const toml = `[host."${liar.url}"]\ncapabilities = ["pull", "resolve"]\n`;
    const result = await pull({}, "--hosts-dir", hostsDirectory(toml), "--progress", "plain");
    expectTheModel(result);
    expect(result.stderr).toContain(`the mirror ${liar.url}`);
  });
});

describe("what is written wrong", () => {
  const line = (result: CommandResult) => {
    expect({ code: result.code, stdout: result.stdout }).toEqual({ code: 2, stdout: "" });
    expect(result.stderr).toMatch(/^ocireg: [^\n]+\n$/);
    return result.stderr;
  };

  test("in hosts.toml is told with the file, the key and what is wanted", async () => {
    const root = hostsDirectory(`[host."${mirror.url}"]\ncapabilities = ["fly"]`);
    const words = ["--hosts-dir", root, "--progress", "none"];
    expect(line(await pull({}, ...words))).toContain(
      `hosts.toml": host."${mirror.url}".capabilities: want a list of "pull", "resolve" and "push"`,
    );
  });

  test("in OCIREG_MIRRORS is told without its secrets", async () => {
    for (const mirrors of ["https://me:secret@m", `${registry.host}=https://me:secret@m`]) {
      const said = line(await pull({ OCIREG_MIRRORS: mirrors, OCIREG_PROGRESS: "none" }));
      expect(said).toContain("want ");
      expect(said).not.toContain("secret");
    }
  });
});
