import { describe, expect, test } from "bun:test";
import { specOf } from "../../src/cli/command.ts";
import type { HelpTarget } from "../../src/cli/render/help.ts";
import { root } from "../../src/cli/routes.ts";
import { flagName } from "../../src/config/schema.ts";
import { ocireg } from "./world.ts";

/** Every command with the words that lead to it. */
function commands(target: HelpTarget = root, words: string[] = []): [string[], HelpTarget][] {
  if (!("getAllEntries" in target)) return [[words, target]];
  return target
    .getAllEntries()
    .flatMap((entry) => commands(entry.target as HelpTarget, [...words, entry.name.original]));
}

describe("help", () => {
  test("lists every command, on stdout", async () => {
    const { code, stdout, stderr } = await ocireg(["help"]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    for (const [[first]] of commands()) expect(stdout).toContain(`\n  ${first} `);
  });

  test("is what a bare ocireg says", async () => {
    expect(await ocireg([])).toEqual(await ocireg(["help"]));
  });

  test.each(commands())("of %j has usage, examples and every flag", async (words, target) => {
    const { code, stdout, stderr } = await ocireg(["help", ...words]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(stdout).toContain(`Usage:\n  ocireg ${words.join(" ")}`);
    const spec = specOf(target);
    expect(spec?.examples.length).toBeGreaterThan(0);
    for (const example of spec?.examples ?? []) {
      expect(stdout).toContain(`\n  ${example}\n`);
      expect(example).toContain(`ocireg ${words.join(" ")}`);
    }
    for (const name of spec?.flags.flatMap((group) => group.names) ?? []) {
      if (name !== "password") expect(stdout).toContain(`--${flagName(name)}`);
    }
    for (const line of stdout.split("\n")) expect(line).toBe(line.trimEnd());
  });

  test.each(commands())("of %j is the same by --help and -h", async (words) => {
    const expected = await ocireg(["help", ...words]);
    expect(await ocireg([...words, "--help"])).toEqual(expected);
    expect(await ocireg([...words, "-h"])).toEqual(expected);
  });

  test("of a group lists its commands", async () => {
    const { stdout } = await ocireg(["help", "blob"]);
    for (const name of ["get", "head", "put", "delete"]) expect(stdout).toContain(`\n  ${name} `);
    expect(await ocireg(["blob", "--help"])).toEqual({ code: 0, stdout, stderr: "" });
  });
});

describe("the version", () => {
  test("is one line, by command and by flag", async () => {
    const { code, stdout, stderr } = await ocireg(["version"]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(stdout).toMatch(/^ocireg \d+\.\d+\.\d+ \([^)]+\)\n$/);
    expect(await ocireg(["--version"])).toEqual({ code, stdout, stderr });
  });
});
