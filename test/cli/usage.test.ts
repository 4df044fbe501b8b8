import { describe, expect, test } from "bun:test";
import { ocireg } from "./world.ts";

describe("a command line that makes no sense", () => {
  test.each([
    [["pul"], 'ocireg: unknown command "pul", did you mean "pull"?'],
    [["rm"], 'ocireg: unknown command "rm", did you mean "cache rm"?'],
    [["put"], 'ocireg: unknown command "put", did you mean "manifest put" or "blob put"?'],
    [["get", "a"], /^ocireg: unknown command "get", did you mean "manifest get" or "blob get"\?$/],
    [["images"], `ocireg: unknown command "images"; see 'ocireg help'`],
    [["constructor"], `ocireg: unknown command "constructor"; see 'ocireg help'`],
    [["manifest", "got"], /^ocireg: unknown command "got", did you mean "get"\?/],
    [["manifest"], "ocireg: 'ocireg manifest' needs a subcommand; see 'ocireg help manifest'"],
    [["--offline", "pull"], /^ocireg: "--offline=true" stands before the command/],
    [["pull"], "ocireg: REF is missing; see --help"],
    [["pull", "a", "b"], 'ocireg: unexpected argument "b"; see --help'],
    [["pull", "UPPER"], /^ocireg: invalid reference "UPPER": the repository must be in lower case/],
    [["pull", "--ouput", "x", "a"], /^ocireg: unknown flag "--ouput", did you mean "--output"\?/],
    [["login", "a", "-p", "secret"], 'ocireg: unknown flag "-p"; see --help'],
    [["pull", "a", "--output"], "ocireg: --output needs a value; see --help"],
    [["pull", "a", "--output", "--json"], "ocireg: --output needs a value; see --help"],
    [["pull", "a", "--ca", "x", "--ca", "y"], /^ocireg: --ca is given twice: "x" and "y"/],
    [["pull", "a", "--progress", "loud"], /^ocireg: --progress is "loud", want auto, tty, plain/],
    [["pull", "a", "--platform", "linux"], /^ocireg: --platform is "linux", want OS\/ARCH/],
    [["pull", "a", "--username", "me"], /^ocireg: --username needs a password/],
    [["pull", "a", "--password", "secret"], /^ocireg: unknown flag "--password", did you mean/],
    [["push", "", "a"], "ocireg: PATH is empty; see --help"],
    [["push", "x", "a", "--annotation", "nothing"], /--annotation is "nothing", want KEY=VALUE/],
    [
      ["push", "x", "a", "--format", "zip"],
      /--format is "zip", want modelpack, docker or docker-v0/,
    ],
    [["copy", "a", "b", "--format", "docker", "--referrers"], /--format and --referrers don't go/],
    [["attach"], "ocireg: REF is missing; see --help"],
    [["attach", "a"], "ocireg: FILE is missing; see --help"],
    [["attach", "UPPER", "x"], /^ocireg: invalid reference "UPPER"/],
    [["attach", "a", "x", "", "--artifact-type", "a/b"], /^ocireg: FILE is empty/],
    [["attach", "a", "x"], /^ocireg: --artifact-type is missing/],
    [["attach", "a", "/nowhere", "--artifact-type", "a/b"], /"\/nowhere": it isn't there/],
    [["auth", "check", "ghcr.io"], /want a repository there: "ghcr.io\/REPOSITORY"/],
    [["auth", "check", "localhost:5000"], /"localhost:5000" is a registry/],
    [["cache", "rm", "sha256:12"], /want at least eight digits/],
    [["tags", "ls", "a:v1"], /want a repository without tag and digest/],
    [["repos", "ls", "host/x"], /want a registry, host\[:port\]/],
    [["manifest", "delete", "a/b"], /want a tag or a digest/],
    [["manifest", "delete", "a/b", "--yes"], /unknown flag "--yes"/],
    [["blob", "get", "a/b"], /^ocireg: a blob has a digest: docker.io\/a\/b@sha256:…/],
    [["blob", "get", "a/b", "sha256:12"], /invalid digest "sha256:12"/],
    [["completion", "tcsh"], /^ocireg: no completion for "tcsh", want bash, zsh, fish/],
    [["help", "pul"], `ocireg: no command "pul" in 'ocireg'; see 'ocireg help'`],
    [["help", "pull", "x"], `ocireg: no command "x" in 'ocireg pull'; see 'ocireg help'`],
    [["serve", "--addr", "5000"], /^ocireg: --addr is "5000", want HOST:PORT/],
    [["serve", "--tls-cert", "x"], /^ocireg: --tls-cert and --tls-key go together/],
  ] as [string[], string | RegExp][])("%j exits with 2 and one line", async (words, message) => {
    const { code, stdout, stderr } = await ocireg(words);
    expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
    expect(stderr).toMatch(/^ocireg: [^\n]+\n$/);
    if (typeof message === "string") expect(stderr.trimEnd()).toBe(message);
    else expect(stderr.trimEnd()).toMatch(message);
  });

  test("a password without a user is half of what is needed", async () => {
    const { code, stderr } = await ocireg(["pull", "a"], { env: { OCIREG_PASSWORD: "secret" } });
    expect(code).toBe(2);
    expect(stderr).toContain("--username");
    expect(stderr).not.toContain("secret");
  });

  test("an empty standard input is no password", async () => {
    const words = ["tags", "ls", "127.0.0.1:1/a", "--username", "me", "--password-stdin"];
    const { code, stderr } = await ocireg(words, { stdin: "\n" });
    expect(code).toBe(2);
    expect(stderr).toContain("found no password");
  });

  test("a variable with a bad value is named", async () => {
    const { code, stderr } = await ocireg(["cache", "path"], { env: { OCIREG_LOG_LEVEL: "loud" } });
    expect({ code, stderr }).toEqual({
      code: 2,
      stderr: 'ocireg: OCIREG_LOG_LEVEL is "loud", want debug, info, warning or error\n',
    });
  });

  test("a settings file that was named and isn't there is an error", async () => {
    for (const given of [
      { words: ["cache", "path", "--config", "/nowhere/x.toml"] },
      { words: ["cache", "path"], env: { OCIREG_CONFIG: "/nowhere/x.toml" } },
    ]) {
      const { code, stderr } = await ocireg(given.words, given);
      expect(code).toBe(2);
      expect(stderr).toMatch(/^ocireg: can't read the settings file: .*nowhere/);
    }
  });
});
