import { describe, expect, test } from "bun:test";
import { mkdirSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { runCommand } from "../support/programs.ts";
import { temporaryDirectory } from "../support/temp.ts";
import { testWith } from "../support/tools.ts";
import { ocireg } from "./world.ts";

/** What is proposed for the last word. */
async function proposals(...words: string[]): Promise<string[]> {
  const { stdout } = await ocireg(["__complete", ...words]);
  return stdout
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => line.split("\t")[0] ?? "");
}

describe("completion", () => {
  test("proposes commands", async () => {
    expect(await proposals("pu")).toEqual(["pull", "push"]);
    expect(await proposals("manifest", "")).toContain("delete");
  });

  test("proposes flags", async () => {
    expect(await proposals("pull", "--pl")).toEqual(["--platform", "--plain-http"]);
    expect(await proposals("pull", "--json", "x", "--pro")).toEqual(["--progress"]);
    expect(await proposals("pull", "--pass")).toEqual(["--password-stdin"]);
  });

  test("proposes the values that there are", async () => {
    expect(await proposals("pull", "--progress", "")).toEqual([
      "auto",
      "tty",
      "plain",
      "json",
      "none",
    ]);
    expect(await proposals("completion", "")).toEqual(["bash", "zsh", "fish"]);
  });

  test("proposes nothing where anything may stand, so that the shell proposes files", async () => {
    expect(await proposals("push", "./mo")).toEqual([]);
    expect(await proposals("nonsense", "x")).toEqual([]);
  });

  test("says what each proposal means", async () => {
    const { stdout } = await ocireg(["__complete", "vers"]);
    expect(stdout).toBe("version\tPrint the version\n");
  });

  testWith("bash", "works in bash", async () => {
    const directory = temporaryDirectory();
    const main = resolve(import.meta.dir, "../../src/main.ts");
    mkdirSync(join(directory, "bin"));
    const program = join(directory, "bin", "ocireg");
    writeFileSync(program, `#!/bin/sh\nexec '${process.execPath}' '${main}' "$@"\n`, {
      mode: 0o755,
    });
    const script = `
      source <(ocireg completion bash)
      COMP_WORDS=(ocireg pull --progress p) COMP_CWORD=3
      _ocireg
      echo "\${COMPREPLY[@]}"`;
    const { stdout, stderr } = await runCommand(["bash", "-c", script], {
      env: { PATH: `${join(directory, "bin")}:${process.env["PATH"]}` },
    });
    expect({ stdout, stderr }).toEqual({ stdout: "plain\n", stderr: "" });
  });
});
