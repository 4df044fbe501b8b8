import { describe, expect, test } from "bun:test";
import { Value } from "@sinclair/typebox/value";
import fc from "fast-check";
import {
  Descriptor,
  EMPTY_DESCRIPTOR,
  formatPlatform,
  matchesPlatform,
  type Platform,
  parsePlatform,
} from "../../src/oci/descriptor.ts";
import { type Digest, digestOf } from "../../src/oci/digest.ts";

const good: Descriptor = {
  mediaType: "application/vnd.oci.image.layer.v1.tar+gzip",
  digest: digestOf("layer"),
  size: 5,
};
const isDescriptor = (fields: object) => Value.Check(Descriptor, { ...good, ...fields });

describe("a descriptor", () => {
  test("needs a media type, a digest and a size, and nothing else", () => {
    expect(Value.Check(Descriptor, good)).toBe(true);
    for (const field of ["mediaType", "digest", "size"]) {
      const { [field as keyof Descriptor]: _, ...rest } = good;
      expect(Value.Check(Descriptor, rest)).toBe(false);
    }
  });

  test("may carry all fields of the image spec, and others", () => {
    expect(
      isDescriptor({
        urls: ["https://example.com/layer"],
        annotations: { "org.opencontainers.image.title": "model.gguf", "": "" },
        data: "bGF5ZXI=",
        artifactType: "application/vnd.example",
        platform: { architecture: "arm64", os: "linux", variant: "v8", "os.features": ["x"] },
        from: "/root/.ollama",
        features: [1, { a: null }],
      }),
    ).toBe(true);
  });

  test.each([
    { mediaType: 1 },
    { mediaType: "" },
    { mediaType: "a/b\r\nx: y" },
    { mediaType: "a".repeat(256) },
    { digest: 1 },
    { digest: "" },
    { digest: "latest" },
    { digest: "sha256:abc" },
    { digest: `sha256:${"A".repeat(64)}` },
    { digest: `sha512:${"a".repeat(64)}` },
    { digest: "sha256:../../../../etc/passwd" },
    { digest: `unknown:${"a".repeat(1100)}` },
    { size: "5" },
    { size: -1 },
    { size: 1.5 },
    { size: 2 ** 53 },
    { size: null },
    { size: Number.NaN },
    { size: Number.POSITIVE_INFINITY },
    { urls: "https://example.com" },
    { urls: [1] },
    { annotations: [] },
    { annotations: { a: 1 } },
    { annotations: { a: null } },
    { data: 1 },
    { artifactType: 1 },
    { platform: "linux/amd64" },
    { platform: {} },
    { platform: { os: "linux" } },
    { platform: { os: "linux", architecture: 64 } },
    { platform: { os: "linux", architecture: "arm", "os.features": "x" } },
  ])("is refused with %j", (fields) => {
    expect(isDescriptor(fields)).toBe(false);
  });

  test("may have a digest of an algorithm that isn't known here", () => {
    expect(isDescriptor({ digest: "blake3:AbC=_-" })).toBe(true);
    expect(
      isDescriptor({ digest: "sha256+b64u:LCa0a2j_xo_5m0U8HTBBNBNCLXBkg7-g-YpeiGJm564" }),
    ).toBe(true);
  });

  test("may have the loose media types that tools write for files", () => {
    expect(isDescriptor({ mediaType: "text/plain; charset=utf-8" })).toBe(true);
    expect(isDescriptor({ mediaType: "text" })).toBe(true);
    expect(isDescriptor({ artifactType: "" })).toBe(true);
  });

  test("of nothing is that of two bytes, and carries them", () => {
    expect(Value.Check(Descriptor, EMPTY_DESCRIPTOR)).toBe(true);
    expect(EMPTY_DESCRIPTOR.digest).toBe(digestOf("{}"));
    expect(Buffer.from(EMPTY_DESCRIPTOR.data ?? "", "base64").toString()).toBe("{}");
  });

  test("checks its digest as the digest module does, for the algorithms that both know", () => {
    const encoded = fc.string({
      unit: fc.constantFrom(..."0123456789abcdefAZ=_-"),
      maxLength: 130,
    });
    fc.assert(
      fc.property(fc.constantFrom(64, 128, undefined), encoded, (length, text) => {
        const exact = length ? text.padEnd(length, "0").slice(0, length) : text;
        expect(isDescriptor({ digest: `sha256:${exact}` })).toBe(/^[0-9a-f]{64}$/.test(exact));
        expect(isDescriptor({ digest: `sha512:${exact}` })).toBe(/^[0-9a-f]{128}$/.test(exact));
      }),
    );
  });
});

describe("a platform as text", () => {
  const texts: [string, Platform][] = [
    ["linux/amd64", { os: "linux", architecture: "amd64" }],
    ["linux/arm64/v8", { os: "linux", architecture: "arm64", variant: "v8" }],
    [
      "windows/amd64:10.0.20348.169",
      { os: "windows", architecture: "amd64", "os.version": "10.0.20348.169" },
    ],
    ["linux/arm/v7:1", { os: "linux", architecture: "arm", variant: "v7", "os.version": "1" }],
  ];
  test.each(texts)("%s is read and written", (text, platform) => {
    expect(parsePlatform(text)).toEqual(platform);
    expect(formatPlatform(platform)).toBe(text);
  });

  test("is read in any case and with the kernel's names of architectures", () => {
    expect(parsePlatform("Linux/AMD64")).toEqual({ os: "linux", architecture: "amd64" });
    expect(parsePlatform("linux/x86_64")).toEqual({ os: "linux", architecture: "amd64" });
    expect(parsePlatform("linux/aarch64")).toEqual({ os: "linux", architecture: "arm64" });
  });

  test.each([
    "",
    "linux",
    "/",
    "linux/",
    "/amd64",
    "linux/arm/v7/x",
    "linux amd64",
    "a/b:",
    "a/b\n",
  ])("isn't %j", (text) => {
    expect(parsePlatform(text)).toBeUndefined();
  });

  test("leaves out what is empty", () => {
    expect(
      formatPlatform({ os: "linux", architecture: "arm64", variant: "", "os.version": "" }),
    ).toBe("linux/arm64");
  });

  test("is read back as it was written", () => {
    const word = fc.stringMatching(/^[a-z0-9_.-]{1,8}$/);
    const platforms = fc
      .record(
        { os: word, architecture: word, variant: word, "os.version": word },
        { requiredKeys: ["os", "architecture"] },
      )
      .filter(({ architecture }) => !/^(x86.64|aarch64|i386)$/.test(architecture));
    fc.assert(
      fc.property(platforms, (platform) => {
        expect(parsePlatform(formatPlatform(platform as Platform))).toEqual(platform as Platform);
      }),
    );
  });
});

describe("matchesPlatform", () => {
  const arm64: Platform = { os: "linux", architecture: "arm64" };

  test("asks for system and architecture", () => {
    expect(matchesPlatform(arm64, arm64)).toBe(true);
    expect(matchesPlatform({ ...arm64, os: "windows" }, arm64)).toBe(false);
    expect(matchesPlatform({ ...arm64, architecture: "amd64" }, arm64)).toBe(false);
    expect(matchesPlatform(undefined, arm64)).toBe(false);
  });

  test("asks for a variant only when one is wanted", () => {
    const v6: Platform = { os: "linux", architecture: "arm", variant: "v6" };
    expect(matchesPlatform(v6, { os: "linux", architecture: "arm" })).toBe(true);
    expect(matchesPlatform(v6, v6)).toBe(true);
    expect(matchesPlatform(v6, { ...v6, variant: "v7" })).toBe(false);
  });

  test("takes the variant that an architecture has anyway for written", () => {
    expect(matchesPlatform(arm64, { ...arm64, variant: "v8" })).toBe(true);
    expect(matchesPlatform({ ...arm64, variant: "v8" }, arm64)).toBe(true);
    expect(matchesPlatform({ ...arm64, variant: "" }, { ...arm64, variant: "v8" })).toBe(true);
    expect(matchesPlatform(arm64, { ...arm64, variant: "v9" })).toBe(false);
  });

  test("asks for a version of the system and its features only when they are wanted", () => {
    const windows: Platform = {
      os: "windows",
      architecture: "amd64",
      "os.version": "10.0.20348.169",
      "os.features": ["win32k"],
    };
    const { "os.version": _, "os.features": __, ...any } = windows;
    expect(matchesPlatform(windows, any)).toBe(true);
    expect(matchesPlatform(windows, { ...any, "os.version": "10.0.20348.169" })).toBe(true);
    expect(matchesPlatform(windows, { ...any, "os.version": "10.0.17763.1" })).toBe(false);
    expect(matchesPlatform(windows, { ...any, "os.features": ["win32k"] })).toBe(true);
    expect(matchesPlatform(any, { ...any, "os.features": ["win32k"] })).toBe(false);
  });
});

test("the type of a digest in a descriptor is that of the digest module", () => {
  const digest: Digest = good.digest;
  expect(digest).toBe(digestOf("layer"));
});
