/** The commands that a person types after cloning. */
import { expect, test } from "bun:test";
import { readdirSync } from "node:fs";
import { join, resolve } from "node:path";
import { makeModel } from "../support/model.ts";
import { runCommand } from "../support/programs.ts";
import { temporaryDirectory } from "../support/temp.ts";

const scripts = resolve(import.meta.dir, "../../scripts");

const lastLine = (text: string) => text.trimEnd().split("\n").at(-1);

test("quickstart shows a model come back, and leaves nothing behind", async () => {
  const temporary = temporaryDirectory();
  const { code, stdout, stderr } = await runCommand([join(scripts, "quickstart")], {
    env: { TMPDIR: temporary },
    cwd: temporary,
  });
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  expect(stdout).toContain("11 files, 48 MiB: every byte is the same");
  expect(stdout).toMatch(/\nNext.*:\n( {2}.*ocireg .*\n){3}$/);
  expect(readdirSync(temporary)).toEqual([]);
}, 120_000);

test("quickstart takes a directory, and --keep leaves the registry running", async () => {
  const [model, temporary] = [temporaryDirectory(), temporaryDirectory()];
  await makeModel(model, { shards: 1 });
  const { code, stdout } = await runCommand([join(scripts, "quickstart"), model, "--keep"], {
    env: { TMPDIR: temporary },
  });
  const pid = Number(/kill (\d+)/.exec(stdout)?.[1]);
  try {
    expect(code).toBe(0);
    const url = /serving +(\S+)/.exec(stdout)?.[1];
    const tags = await fetch(`${url}/v2/quickstart/model/tags/list`);
    expect(await tags.json()).toEqual({ name: "quickstart/model", tags: ["v1"] });
  } finally {
    process.kill(pid);
  }
}, 120_000);

test("quickstart refuses what isn't a directory", async () => {
  const { code, stderr } = await runCommand([join(scripts, "quickstart"), "/nowhere"]);
  expect(code).toBe(2);
  expect(stderr).toContain("/nowhere isn't a directory");
}, 30_000);

test("test counts what passed, failed and was skipped, in its last line", async () => {
  const directory = temporaryDirectory();
  await Bun.write(
    join(directory, "counted.test.ts"),
    `import { test } from "bun:test";
    test("passes", () => {});
    test("fails", () => { throw new Error("no"); });
    test.skip("needs <more> (skipped: needs it)", () => {});`,
  );
  await Bun.write(join(directory, "broken.test.ts"), 'import "./nothing.ts";');
  const { code, stdout } = await runCommand([join(scripts, "test"), directory], {
    env: { CI: undefined },
    cwd: directory,
  });
  expect(code).toBe(1);
  expect(stdout).toContain("counted.test.ts: needs <more> (skipped: needs it)\n");
  // Types, lint and compiling are one each, and may fail while somebody works on them.
  const checks = stdout.match(/^(?:types|lint|compile): passed/gm)?.length ?? 0;
  expect(lastLine(stdout)).toBe(`${1 + checks} passed, ${2 + 3 - checks} failed, 1 skipped`);
}, 120_000);

test("bench lists what there is", async () => {
  const { code, stdout } = await runCommand([join(scripts, "bench")]);
  expect(code).toBe(0);
  expect(stdout).toContain("serve");
}, 30_000);
