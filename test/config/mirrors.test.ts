import { describe, expect, test } from "bun:test";
import { loadSettings } from "../../src/config/load.ts";
import { formatMirrors, parseMirrors } from "../../src/config/mirrors.ts";

describe("mirrors in one line", () => {
  test.each([
    ["docker.io=https://m", { "docker.io": ["https://m"] }],
    [
      "docker.io=https://a, b:5000 ; ghcr.io=https://c/v2/ghcr;",
      { "docker.io": ["https://a", "b:5000"], "ghcr.io": ["https://c/v2/ghcr"] },
    ],
    ["a.io=https://x;a.io=https://y", { "a.io": ["https://x", "https://y"] }],
    ["index.docker.io=https://m", { "docker.io": ["https://m"] }],
    ["127.0.0.1:5000=http://127.0.0.1:5001", { "127.0.0.1:5000": ["http://127.0.0.1:5001"] }],
  ])("%p are %j", (text, mirrors) => {
    expect(parseMirrors(text)).toEqual(mirrors);
    expect(parseMirrors(formatMirrors(mirrors))).toEqual(mirrors);
  });

  test.each(["", ";", "docker.io", "docker.io=", "=https://m", "docker.io=https://a,,https://b"])(
    "%p are none",
    (text) => {
      expect(parseMirrors(text)).toBeUndefined();
    },
  );

  test("are refused without the password that they hold", () => {
    const env = { OCIREG_MIRRORS: "https://me:secret@m" };
    expect(() => loadSettings(["mirrors"], { flags: {}, env })).toThrow("OCIREG_MIRRORS is");
    expect(() => loadSettings(["mirrors"], { flags: {}, env })).not.toThrow("secret");
  });
});
