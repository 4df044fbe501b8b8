import { describe, expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { readSettingsFile } from "../../src/config/file.ts";
import { temporaryDirectory } from "../support/temp.ts";

function file(text: string): string {
  const path = join(temporaryDirectory(), "ocireg.toml");
  writeFileSync(path, text);
  return path;
}

describe("the settings file", () => {
  test("is TOML with the names of the flags", () => {
    const path = file('root = "/srv/registry"\nread-only = true\n# a comment\nsparse = "image"\n');
    expect(readSettingsFile(path, true)).toEqual({
      root: "/srv/registry",
      readOnly: true,
      sparse: "image",
    });
  });

  test("may be absent unless it was named", () => {
    const path = join(temporaryDirectory(), "ocireg.toml");
    expect(readSettingsFile(path, false)).toBeUndefined();
    expect(() => readSettingsFile(path, true)).toThrow(
      /can't read the settings file.*ocireg\.toml/,
    );
  });

  test("that isn't TOML is refused in one line", () => {
    const path = file("root = \n[[[");
    expect(() => readSettingsFile(path, true)).toThrow(/^\S+ocireg\.toml isn't TOML: [^\n]+$/);
  });

  test("that can't be read isn't passed over", () => {
    expect(() => readSettingsFile(temporaryDirectory(), false)).toThrow(/can't read the settings/);
  });
});
