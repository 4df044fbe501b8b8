import { describe, expect, test } from "bun:test";
import { createHash } from "node:crypto";
import fc from "fast-check";
import {
  algorithmNames,
  algorithmOf,
  createHasher,
  type Digest,
  digestOf,
  encodedOf,
  findAlgorithm,
  finishDigest,
  type Hasher,
  InvalidDigestError,
  isDigest,
  parseDigest,
  registerAlgorithm,
} from "../../src/oci/digest.ts";

const hex = (length: number) =>
  fc.string({ unit: fc.constantFrom(..."0123456789abcdef"), minLength: length, maxLength: length });
const digests = fc.oneof(
  hex(64).map((encoded) => `sha256:${encoded}`),
  hex(128).map((encoded) => `sha512:${encoded}`),
);

const empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

describe("parseDigest", () => {
  test("accepts every sha256 and sha512 digest and returns it as it was", () => {
    fc.assert(
      fc.property(digests, (text) => {
        const digest = parseDigest(text);
        expect<string>(digest).toBe(text);
        expect(`${algorithmOf(digest)}:${encodedOf(digest)}`).toBe(text);
      }),
    );
  });

  const refused: [string, string][] = [
    ["nothing", ""],
    ["no colon", empty],
    ["no algorithm", `:${empty}`],
    ["no encoded part", "sha256:"],
    ["an encoded part that is too short", `sha256:${empty.slice(1)}`],
    ["an encoded part that is too long", `sha256:${empty}0`],
    ["a sha512 digest of 64 digits", `sha512:${empty}`],
    ["a sha256 digest of 128 digits", `sha256:${empty}${empty}`],
    ["upper-case hex", `sha256:${empty.toUpperCase()}`],
    ["digits that aren't hex", `sha256:${"g".repeat(64)}`],
    ["an upper-case algorithm", `SHA256:${empty}`],
    ["an algorithm that nobody registered", "md5:d41d8cd98f00b204e9800998ecf8427e"],
    ["an algorithm that ends in a separator", `sha256+:${empty}`],
    ["an algorithm that begins with a separator", `+sha256:${empty}`],
    ["white space in front", ` sha256:${empty}`],
    ["white space at the end", `sha256:${empty} `],
    ["a line feed at the end", `sha256:${empty}\n`],
    ["a second colon", `sha256:${empty}:`],
    ["a slash", `sha256:../${empty.slice(3)}`],
    ["an encoded slash", `sha256:%2f${empty.slice(3)}`],
    ["a path that climbs", `../../etc/passwd`],
    ["a NUL", `sha256:${empty.slice(1)}\0`],
    ["full-width digits", `sha256:${"\uff10".repeat(64)}`],
    ["the name of an inherited property", `constructor:${empty}`],
  ];
  test.each(refused)("refuses %s", (_, text) => {
    expect(() => parseDigest(text)).toThrow(InvalidDigestError);
    expect(isDigest(text)).toBe(false);
  });

  test("agrees with isDigest about any text", () => {
    const near = fc
      .tuple(digests, fc.nat({ max: 140 }), fc.string({ maxLength: 2 }))
      .map(([text, at, insert]) => text.slice(0, at) + insert + text.slice(at + 1));
    fc.assert(
      fc.property(fc.oneof(near, fc.string({ unit: "binary" })), (text) => {
        const accepted = (() => {
          try {
            return parseDigest(text) === text;
          } catch (error) {
            expect(error).toBeInstanceOf(InvalidDigestError);
            return false;
          }
        })();
        expect(isDigest(text)).toBe(accepted);
      }),
    );
  });

  test("names the value and the wanted form in its error, on one line", () => {
    expect(() => parseDigest("sha1:\n")).toThrow(
      'invalid digest "sha1:\\n": want algorithm:encoded, like sha256:<64 hex digits>',
    );
  });

  test("names the algorithms that are known when it meets another", () => {
    expect(() => parseDigest("sha384:00")).toThrow(/unsupported algorithm, want sha256 or sha512/);
  });

  test("abbreviates a long value in its error", () => {
    const error = (() => {
      try {
        return parseDigest("x".repeat(1_000_000));
      } catch (thrown) {
        return thrown as InvalidDigestError;
      }
    })() as InvalidDigestError;
    expect(error.message.length).toBeLessThan(300);
  });
});

describe("digestOf", () => {
  test("gives the published digests of no bytes and of abc", () => {
    expect<string>(digestOf("")).toBe(`sha256:${empty}`);
    expect<string>(digestOf("abc")).toBe(
      "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
    );
    expect<string>(digestOf("abc", "sha512")).toBe(
      "sha512:ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f",
    );
  });

  test("hashes text as UTF-8", () => {
    expect(digestOf("naïve ☃")).toBe(digestOf(new TextEncoder().encode("naïve ☃")));
  });

  test("agrees with another implementation on any bytes, and yields a valid digest", () => {
    fc.assert(
      fc.property(fc.uint8Array(), fc.constantFrom("sha256", "sha512"), (bytes, algorithm) => {
        const digest = digestOf(bytes, algorithm);
        expect<string>(digest).toBe(
          `${algorithm}:${createHash(algorithm).update(bytes).digest("hex")}`,
        );
        expect(isDigest(digest)).toBe(true);
      }),
    );
  });

  test("refuses an algorithm that nobody registered", () => {
    expect(() => digestOf("abc", "md5")).toThrow(InvalidDigestError);
  });
});

describe("createHasher", () => {
  test("comes to the same digest however the bytes are cut", () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array()), (chunks) => {
        const hasher = createHasher("sha256");
        for (const chunk of chunks) hasher.update(chunk);
        expect(finishDigest("sha256", hasher)).toBe(digestOf(Buffer.concat(chunks)));
      }),
    );
  });

  test("refuses an algorithm that nobody registered", () => {
    expect(() => createHasher("constructor")).toThrow(InvalidDigestError);
  });
});

describe("a hasher", () => {
  test.each(["sha256", "sha512"])("of %s is copied with what it has seen", (algorithm) => {
    const hasher = createHasher(algorithm);
    hasher.update(new TextEncoder().encode("ab"));
    const copy = hasher.copy();
    hasher.update(new TextEncoder().encode("c"));
    copy.update(new TextEncoder().encode("d"));
    expect(finishDigest(algorithm, hasher)).toBe(digestOf("abc", algorithm));
    expect(finishDigest(algorithm, copy)).toBe(digestOf("abd", algorithm));
  });
});

describe("registerAlgorithm", () => {
  const bytesum = {
    name: "bytesum+b64.v1",
    encoded: /^[0-9]{1,9}$/,
    createHasher: () => hasherFrom(0),
  };

  function hasherFrom(start: number): Hasher {
    let sum = start;
    return {
      update(chunk) {
        for (const byte of chunk) sum += byte;
      },
      copy: () => hasherFrom(sum),
      digest: () => String(sum),
    };
  }

  test("makes a further algorithm known to parsing and hashing", () => {
    expect(isDigest("bytesum+b64.v1:294")).toBe(false);
    registerAlgorithm(bytesum);
    expect(algorithmNames()).toEqual(["sha256", "sha512", "bytesum+b64.v1"]);
    expect(findAlgorithm("bytesum+b64.v1")).toBe(bytesum);
    expect<string>(digestOf("abc", "bytesum+b64.v1")).toBe("bytesum+b64.v1:294");
    expect(parseDigest("bytesum+b64.v1:294")).toBe("bytesum+b64.v1:294" as Digest);
    expect(() => parseDigest("bytesum+b64.v1:1234567890")).toThrow(InvalidDigestError);
  });

  test("doesn't replace an algorithm that is known", () => {
    expect(() => registerAlgorithm({ ...bytesum, name: "sha256" })).toThrow(
      'can\'t register digest algorithm "sha256": it is registered already',
    );
    expect(digestOf("abc")).toStartWith("sha256:ba7816bf");
  });

  test.each(["", "SHA256", "a/b", "..", "a..b", "a:b", "sha256-", "a b"])(
    "refuses the name %j",
    (name) => {
      expect(() => registerAlgorithm({ ...bytesum, name })).toThrow("not a valid name");
    },
  );
});
