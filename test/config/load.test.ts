import { describe, expect, test } from "bun:test";
import { checkFile, loadSettings } from "../../src/config/load.ts";
import type { SettingName } from "../../src/config/schema.ts";
import { Failure } from "../../src/lib/failure.ts";

/** The one line that a call fails with. */
function complaint(call: () => unknown): string {
  try {
    call();
  } catch (error) {
    expect(error).toBeInstanceOf(Failure);
    expect((error as Failure).kind).toBe("usage");
    expect((error as Failure).message).not.toContain("\n");
    return (error as Failure).message;
  }
  throw new Error("it should have failed");
}

describe("where a setting comes from", () => {
  const names = ["sparse"] as const;
  const flags = { sparse: "none" };
  const env = { OCIREG_SPARSE: "image" };
  const file = { sparse: "index" } as const;

  test("a flag wins over the environment, which wins over the file, which wins over the default", () => {
    expect(loadSettings(names, { flags, env, file })).toEqual({ sparse: "none" });
    expect(loadSettings(names, { flags: {}, env, file: { sparse: "none" } })).toEqual({
      sparse: "image",
    });
    expect(loadSettings(names, { flags: {}, env: {}, file: { sparse: "none" } })).toEqual({
      sparse: "none",
    });
    expect(loadSettings(names, { flags: {}, env: {} })).toEqual({ sparse: "index" });
  });

  test("a flag can take back what the environment switched on", () => {
    const given = { flags: { readOnly: "false" }, env: { OCIREG_READ_ONLY: "true" } };
    expect(loadSettings(["readOnly"], given)).toEqual({ readOnly: false });
  });

  test("an empty variable is none", () => {
    expect(loadSettings(names, { flags: {}, env: { OCIREG_SPARSE: "" } }).sparse).toBe("index");
  });

  test("a setting without a default is absent until it is given", () => {
    expect(loadSettings(["htpasswd"], { flags: {}, env: {} })).toEqual({});
  });

  test("only what is asked for is judged", () => {
    expect(loadSettings(names, { flags: {}, env: { OCIREG_ADDR: "nonsense" } }).sparse).toBe(
      "index",
    );
  });
});

describe("how settings are written", () => {
  test.each([
    ["addr", "[::1]:0", { host: "::1", port: 0 }],
    ["drainTimeout", "1m30s", 90_000],
    ["maxManifestSize", "8MiB", 8_388_608],
    ["readOnly", "yes", true],
    ["readOnly", "0", false],
    ["plainHttp", "true", true],
    ["plainHttp", "a.example,b.example:5000", ["a.example", "b.example:5000"]],
    ["include", "*.json, *.safetensors", ["*.json", "*.safetensors"]],
  ] as [SettingName, string, unknown][])("%s from %p", (name, text, value) => {
    const variable = `OCIREG_${name.replace(/[A-Z]/g, (c) => `_${c}`).toUpperCase()}`;
    expect(loadSettings([name], { flags: {}, env: { [variable]: text } })[name]).toEqual(
      value as never,
    );
  });

  test("a repeated flag is taken as it is, commas included", () => {
    const include = ["{a,b}.json", "c"];
    expect(loadSettings(["include"], { flags: { include }, env: {} })).toEqual({ include });
  });
});

describe("a value that isn't acceptable", () => {
  test.each([
    ["addr", "5000", '--addr is "5000", want HOST:PORT, [IPV6]:PORT or :PORT'],
    ["readOnly", "maybe", '--read-only is "maybe", want true or false'],
    [
      "drainTimeout",
      "30",
      '--drain-timeout is "30", want a duration such as 30s or 5m, from 0s to 24d',
    ],
    [
      "stallTimeout",
      "25d",
      '--stall-timeout is "25d", want a duration such as 30s or 5m, from 0s to 24d',
    ],
    ["sparse", "all", '--sparse is "all", want none, index or image'],
    ["root", "", '--root is "", want a path'],
    [
      "maxManifestSize",
      "1",
      '--max-manifest-size is "1", want a size such as 4MiB, from 1KiB to 256MiB',
    ],
  ] as [SettingName, string, string][])("--%s %p is named with what is", (name, text, message) => {
    expect(complaint(() => loadSettings([name], { flags: { [name]: text }, env: {} }))).toBe(
      message,
    );
  });

  test("a variable is named as a variable", () => {
    const env = { OCIREG_PROGRESS: "loud" };
    expect(complaint(() => loadSettings(["progress"], { flags: {}, env }))).toBe(
      'OCIREG_PROGRESS is "loud", want auto, tty, plain, json or none',
    );
  });
});

describe("the content of ocireg.toml", () => {
  test("values are written as text, or as what TOML has", () => {
    const content = {
      addr: ":5000",
      "read-only": true,
      "no-delete": "yes",
      "max-manifest-size": 1_048_576,
      "drain-timeout": "1m",
      "plain-http": ["a.example"],
    };
    expect(checkFile(content, "ocireg.toml")).toEqual({
      addr: { host: "", port: 5000 },
      readOnly: true,
      noDelete: true,
      maxManifestSize: 1_048_576,
      drainTimeout: 60_000,
      plainHttp: ["a.example"],
    });
  });

  test("an unknown key is named with those that are known", () => {
    const message = complaint(() => checkFile({ rooot: "x" }, "some/ocireg.toml"));
    expect(message).toStartWith('some/ocireg.toml: unknown key "rooot", want one of root, addr,');
  });

  test.each(["password", "username", "config", "output", "constructor", "readOnly"])(
    "%s isn't a key",
    (key) => {
      expect(complaint(() => checkFile({ [key]: "x" }, "f"))).toContain(`unknown key "${key}"`);
    },
  );

  test.each([
    [{ "read-only": 1 }, "f: read-only is 1, want true or false"],
    [
      { "drain-timeout": 30 },
      "f: drain-timeout is 30, want a duration such as 30s or 5m, from 0s to 24d",
    ],
    [{ include: [1] }, undefined],
    [{ root: ["a"] }, 'f: root is ["a"], want a path'],
    [{ addr: { host: "x" } }, 'f: addr is {"host":"x"}, want HOST:PORT, [IPV6]:PORT or :PORT'],
  ])("%j is refused", (content, message) => {
    const said = complaint(() => checkFile(content, "f"));
    if (message !== undefined) expect(said).toBe(message);
  });
});
