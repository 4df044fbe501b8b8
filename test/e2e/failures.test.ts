import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { digestOf } from "../../src/oci/digest.ts";
import { compiledBinary } from "../support/binary.ts";
import { temporaryDirectory } from "../support/temp.ts";
import { cleanEnvironment, ocireg, type Served, startServe } from "./ocireg.ts";

let served: Served;
const users = join(temporaryDirectory(), "users");

beforeAll(async () => {
  const hash = await Bun.password.hash("secret", { algorithm: "bcrypt", cost: 4 });
  writeFileSync(users, `me:${hash}\n`);
  served = await startServe(["--htpasswd", users, "--log-level", "error"]);
}, 60_000);
afterAll(() => served.stop());

/** Exit code of a command that fails with one line on stderr and nothing on stdout. */
async function failure(words: string[], env: Record<string, string> = {}): Promise<number> {
  const { code, stdout, stderr } = await ocireg(words, { env });
  expect({ words, stdout }).toEqual({ words, stdout: "" });
  // Before it there may be lines of the log, as of attempts that failed.
  expect(stderr).toMatch(/^(?:\d{4}-[^\n]+\n)*ocireg: [^\n]+\n$/);
  expect(stderr).not.toMatch(/secret|wrong-one|\bat \S+:\d+/);
  return code;
}

describe("the exit code says what kind of failure it was", () => {
  const me = { OCIREG_USERNAME: "me", OCIREG_PASSWORD: "secret" };

  test("2: usage", async () => {
    expect(await failure(["tags", "ls"])).toBe(2);
    expect(await failure(["nonsense"])).toBe(2);
  });

  test("3: not found", async () => {
    expect(await failure(["manifest", "head", `${served.host}/no/such:tag`], me)).toBe(3);
    expect(await failure(["pull", "--progress=none", `${served.host}/no/such:tag`], me)).toBe(3);
    expect(await failure(["tags", "ls", `${served.host}/no/such`], me)).toBe(3);
  });

  test("4: not authorised", async () => {
    const words = ["tags", "ls", `${served.host}/no/such`];
    expect(await failure(words)).toBe(4);
    expect(await failure(words, { ...me, OCIREG_PASSWORD: "wrong-one" })).toBe(4);
  });

  test("5: the network", async () => {
    const free = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data() {} } });
    const { port } = free;
    free.stop(true);
    const words = ["tags", "ls", `127.0.0.1:${port}/a/b`, "--connect-timeout", "500ms"];
    expect(await failure(words)).toBe(5);
  });

  test("7: the disk", async () => {
    const path = "/proc/nowhere/file";
    expect((await ocireg(["blob", "put", `${served.host}/a/b`, users], { env: me })).code).toBe(0);
    const digest = await Bun.file(users).bytes().then(digestOf);
    expect(await failure(["blob", "get", `${served.host}/a/b`, digest, "-o", path], me)).toBe(7);
  });

  test("8: offline and not in the cache", async () => {
    const words = ["pull", "--offline", "--progress=none", "--cache-dir", temporaryDirectory()];
    expect(await failure([...words, `${served.host}/no/such`])).toBe(8);
  });
});

describe("credentials", () => {
  test("come from the environment or standard input, for the registry of the reference", async () => {
    const words = ["repos", "ls", served.host];
    const env = { OCIREG_USERNAME: "me", OCIREG_PASSWORD: "secret" };
    expect((await ocireg(words, { env })).code).toBe(0);
    const typed = await ocireg([...words, "--username", "me", "--password-stdin"], {
      stdin: "secret\n",
    });
    expect({ code: typed.code, stderr: typed.stderr }).toEqual({ code: 0, stderr: "" });
  });
});

describe("a client command", () => {
  test.each([
    ["SIGINT", 130, "interrupted"],
    ["SIGTERM", 143, "terminated"],
  ] as const)("ends on %s with %d", async (signal, code, word) => {
    // A registry that never answers.
    const silent = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data() {} } });
    for (const words of [
      ["tags", "ls", `127.0.0.1:${silent.port}/a/b`],
      ["pull", "--progress=none", `127.0.0.1:${silent.port}/a/b`],
    ]) {
      const asked = Promise.withResolvers<void>();
      silent.reload({ socket: { data: () => asked.resolve() } });
      const child = Bun.spawn([await compiledBinary(), ...words], {
        env: { ...process.env, ...cleanEnvironment() },
        stdout: "pipe",
        stderr: "pipe",
      });
      await asked.promise;
      child.kill(signal);
      const [exit, stderr] = await Promise.all([child.exited, child.stderr.text()]);
      expect({ words, exit, stderr }).toEqual({ words, exit: code, stderr: `ocireg: ${word}\n` });
    }
    silent.stop(true);
  });

  test("shows stacks only at --log-level debug", async () => {
    const words = ["tags", "ls", `${served.host}/no/such`, "--log-level", "debug"];
    const { code, stderr } = await ocireg(words);
    expect(code).toBe(4);
    expect(stderr).toMatch(/^ocireg: [^\n]+\n/m);
    expect(stderr).toContain("\n    at ");
  });
});
