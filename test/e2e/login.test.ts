/** Credentials that the executable gets from programs and people. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { chmodSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { compiledBinary } from "../support/binary.ts";
import { temporaryDirectory } from "../support/temp.ts";
import { cleanEnvironment, ocireg, type Served, startServe } from "./ocireg.ts";

let served: Served;
beforeAll(async () => {
  const users = join(temporaryDirectory(), "users");
  const hash = await Bun.password.hash("secrét", { algorithm: "bcrypt", cost: 4 });
  writeFileSync(users, `me:${hash}\n`);
  served = await startServe(["--htpasswd", users, "--log-level", "error"]);
}, 60_000);
afterAll(() => served.stop());

test("a credential helper on PATH is asked", async () => {
  const home = temporaryDirectory();
  const helper = join(home, "docker-credential-mine");
  writeFileSync(helper, `#!/bin/sh\ncat >/dev/null\necho '{"Username":"me","Secret":"secrét"}'\n`);
  chmodSync(helper, 0o755);
  mkdirSync(join(home, ".docker"));
  writeFileSync(join(home, ".docker/config.json"), JSON.stringify({ credsStore: "mine" }));
  const words = ["repos", "ls", served.host];
  const env = { HOME: home, PATH: `${home}:${process.env["PATH"]}` };
  expect(await ocireg(words, { env })).toEqual({ code: 0, stdout: "", stderr: "" });

  const without = await ocireg(words, { env: { HOME: home } });
  expect(without.code).toBe(4);
  expect(without.stderr).toContain('"docker-credential-mine" isn\'t on PATH');
});

/** Runs the executable at a terminal of its own and types each line once it is asked for. */
async function atTerminal(
  words: string[],
  home: string,
  answers: [question: string, line: string][],
) {
  let shown = "";
  const left = [...answers];
  const binary = await compiledBinary();
  const child = Bun.spawn([binary, ...words], {
    env: { ...process.env, ...cleanEnvironment(), HOME: home },
    terminal: {
      cols: 200,
      rows: 24,
      data(terminal, data) {
        shown += Buffer.from(data).toString();
        if (left[0] && shown.includes(left[0][0])) terminal.write(left.shift()?.[1] ?? "");
      },
    },
  });
  const code = await child.exited;
  child.terminal?.close();
  return { code, shown };
}

test("login asks at a terminal, and shows no password", async () => {
  const home = temporaryDirectory();
  const { code, shown } = await atTerminal(["login", served.host], home, [
    [`User of ${served.host}: `, "me\n"],
    // With a mistake that is taken back.
    ["Password of me: ", "secréx\u007ft\r"],
  ]);
  expect(shown).toContain("logged in to");
  expect(code).toBe(0);
  expect(shown).not.toContain("secr");
  const { code: listed } = await ocireg(["repos", "ls", served.host], { env: { HOME: home } });
  expect(listed).toBe(0);
});

test("login can be left with Ctrl-C while it asks", async () => {
  const { code } = await atTerminal(["login", served.host, "-u", "me"], temporaryDirectory(), [
    ["Password of me: ", "half\u0003"],
  ]);
  expect(code).toBe(130);
});
