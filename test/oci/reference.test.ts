import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { type Digest, digestOf } from "../../src/oci/digest.ts";
import {
  formatReference,
  formatRepository,
  InvalidReferenceError,
  identifierOf,
  isRegistry,
  isRepositoryName,
  isTag,
  parseReference,
  parseRegistry,
  parseRepository,
  type Reference,
  withDigest,
  withTag,
} from "../../src/oci/reference.ts";

const digest = digestOf("content");
const sha512 = digestOf("content", "sha512");

/** The text of one arbitrary after another. */
const sequence = (...parts: fc.Arbitrary<string>[]) => fc.tuple(...parts).map((p) => p.join(""));
const letters = "abcdefghijklmnopqrstuvwxyz";
const of = (characters: string, minLength: number, maxLength: number) =>
  fc.string({ unit: fc.constantFrom(...characters), minLength, maxLength });

/** The productions of the grammar that the documentation of distribution/reference gives. */
const alphaNumeric = of(`${letters}0123456789`, 1, 6);
const separator = fc.constantFrom(".", "_", "__", "-", "--", "-----");
const pathComponent = fc
  .tuple(alphaNumeric, fc.array(sequence(separator, alphaNumeric), { maxLength: 2 }))
  .map(([first, rest]) => first + rest.join(""));
const path = fc.array(pathComponent, { minLength: 1, maxLength: 4 }).map((p) => p.join("/"));
const label = fc.oneof(
  of(letters, 1, 3),
  sequence(of(letters, 1, 3), fc.constantFrom("-", "--", "0", "X"), of(letters, 1, 3)),
);
const port = fc.integer({ min: 1, max: 65535 }).map(String);
const host = fc.oneof(
  fc.array(label, { minLength: 2, maxLength: 4 }).map((labels) => labels.join(".")),
  fc.ipV4(),
  fc.constant("localhost"),
  fc.constantFrom("[::1]", "[2001:db8::8a2e:370:7334]", "[FE80::1]"),
);
const domain = fc.oneof(
  host,
  sequence(host, fc.constant(":"), port),
  sequence(label, fc.constant(":"), port),
);
const tag = sequence(
  of(`${letters}ABCXYZ0123456789_`, 1, 1),
  of(`${letters}ABCXYZ0123456789_.-`, 0, 20),
);
const digests = fc.uint8Array().map((bytes) => digestOf(bytes));
const references = fc
  .record({
    domain: fc.option(domain, { nil: undefined }),
    path,
    tag: fc.option(tag, { nil: undefined }),
    digest: fc.option(digests, { nil: undefined }),
  })
  .map(
    (r) =>
      `${r.domain ?? "user"}/${r.path}${r.tag === undefined ? "" : `:${r.tag}`}${r.digest === undefined ? "" : `@${r.digest}`}`,
  );

describe("parseReference, whatever the grammar produces", () => {
  test("accepts it, and finds its domain, path, tag and digest again", () => {
    fc.assert(
      fc.property(domain, path, tag, digests, (registry, repository, name, content) => {
        const parsed = parseReference(`${registry}/${repository}:${name}@${content}`);
        expect(parsed).toEqual({
          registry: registry.toLowerCase(),
          repository,
          tag: name,
          digest: content,
        });
      }),
    );
  });

  test("reads its canonical form back as the same reference", () => {
    fc.assert(
      fc.property(references, (text) => {
        const parsed = parseReference(text);
        const canonical = formatReference(parsed);
        expect(parseReference(canonical)).toEqual(parsed);
        expect(formatReference(parseReference(canonical))).toBe(canonical);
      }),
    );
  });

  test("reads it the same with oci:// in front", () => {
    fc.assert(
      fc.property(references, (text) => {
        expect(parseReference(`oci://${text}`)).toEqual(parseReference(text));
      }),
    );
  });
});

describe("parseReference, whatever a person types", () => {
  test("answers with a valid reference or an InvalidReferenceError of one line", () => {
    const noise = fc.oneof(
      fc.string({ unit: "binary" }),
      of("aB0.:/@-_[]% \n", 0, 30),
      fc
        .tuple(references, fc.nat({ max: 60 }), fc.string({ maxLength: 2 }))
        .map(([text, at, insert]) => text.slice(0, at) + insert + text.slice(at)),
    );
    fc.assert(
      fc.property(noise, (text) => {
        let parsed: Reference;
        try {
          parsed = parseReference(text);
        } catch (error) {
          expect(error).toBeInstanceOf(InvalidReferenceError);
          expect((error as Error).message).not.toContain("\n");
          return;
        }
        expect(isRegistry(parsed.registry)).toBe(true);
        expect(isRepositoryName(parsed.repository)).toBe(true);
        expect(parsed.tag === undefined || isTag(parsed.tag)).toBe(true);
        expect(parsed.tag ?? parsed.digest).toBeDefined();
        expect(parseReference(formatReference(parsed))).toEqual(parsed);
      }),
      { numRuns: 2000 },
    );
  });
});

describe("parseReference fills in what isn't said", () => {
  test.each([
    ["model", "docker.io/library/model:latest"],
    ["model:v1", "docker.io/library/model:v1"],
    ["user/model", "docker.io/user/model:latest"],
    ["user/sub/model:tag", "docker.io/user/sub/model:tag"],
    ["docker.io/model", "docker.io/library/model:latest"],
    ["docker.io/user/model", "docker.io/user/model:latest"],
    ["index.docker.io/user/model", "docker.io/user/model:latest"],
    ["index.docker.io/model", "docker.io/library/model:latest"],
    ["Docker.IO/model", "docker.io/library/model:latest"],
    ["localhost", "docker.io/library/localhost:latest"],
    ["localhost/model", "localhost/model:latest"],
    ["localhost:5000/model", "localhost:5000/model:latest"],
    ["localhost:5000", "docker.io/library/localhost:5000"],
    ["host:5000/model:tag", "host:5000/model:tag"],
    ["ghcr.io/org/model", "ghcr.io/org/model:latest"],
    ["GHCR.io/org/model", "ghcr.io/org/model:latest"],
    ["ghcr.io/model", "ghcr.io/model:latest"],
    ["MyHost/model", "MyHost/model:latest"],
    ["127.0.0.1:5000/model", "127.0.0.1:5000/model:latest"],
    ["[::1]/model", "[::1]/model:latest"],
    ["[::1]:5000/model:tag", "[::1]:5000/model:tag"],
    ["a-b/c--d/e__f/g_h.i", "docker.io/a-b/c--d/e__f/g_h.i:latest"],
    [`model@${digest}`, `docker.io/library/model@${digest}`],
    [`model:tag@${digest}`, `docker.io/library/model:tag@${digest}`],
    [`ghcr.io/org/model@${sha512}`, `ghcr.io/org/model@${sha512}`],
    ["oci://user/model:tag", "docker.io/user/model:tag"],
    ["oci/model", "docker.io/oci/model:latest"],
    [`ghcr.io/${"a".repeat(64)}`, `ghcr.io/${"a".repeat(64)}:latest`],
  ])("%s is %s", (text, canonical) => {
    expect(formatReference(parseReference(text))).toBe(canonical);
  });

  test("no tag stands beside a digest that came without one", () => {
    expect(parseReference(`model@${digest}`).tag).toBeUndefined();
  });
});

describe("parseReference refuses", () => {
  const refused: [string, string, string][] = [
    ["nothing", "", "it is empty"],
    ["a scheme alone", "oci://", "it is empty"],
    ["another scheme", "https://ghcr.io/org/model", "no scheme but oci://"],
    ["docker's transport", "docker://org/model", "no scheme but oci://"],
    ["64 hex digits", "a".repeat(64), "name a digest"],
    ["upper case in the repository", "user/Model", "must be in lower case"],
    ["an upper-case bare name", "Model", "must be in lower case"],
    ["white space", "user/my model", "must be lower-case letters"],
    ["a line feed at the end", "user/model\n", "must be lower-case letters"],
    ["a path that climbs", "../../etc/passwd", "isn't host[:port]"],
    ["a component that climbs", "ghcr.io/org/../model", "must be lower-case letters"],
    ["an empty component", "ghcr.io/org//model", "must be lower-case letters"],
    ["a slash in front", "/model", "must be lower-case letters"],
    ["a slash at the end", "ghcr.io/model/", "must be lower-case letters"],
    ["a registry alone", "ghcr.io/", "must be lower-case letters"],
    ["an encoded slash", "ghcr.io/org%2fmodel", "must be lower-case letters"],
    ["three underscores", "a___b", "must be lower-case letters"],
    ["two dots", "a..b", "must be lower-case letters"],
    ["a separator in front", "-a", "must be lower-case letters"],
    ["a separator at the end", "a-", "must be lower-case letters"],
    ["letters with accents", "modèle", "must be lower-case letters"],
    ["an empty tag", "model:", "the tag"],
    ["a tag of 129 characters", `model:${"a".repeat(129)}`, "the tag"],
    ["a tag that begins with a dot", "model:.a", "the tag"],
    ["a tag that begins with a dash", "model:-a", "the tag"],
    ["two tags", "model:a:b", "must be lower-case letters"],
    ["a tag with a slash", "model:a/b", "isn't host[:port]"],
    ["an empty digest", "model@", "invalid digest"],
    ["a digest that is too short", "model@sha256:abc", "invalid digest"],
    ["an unknown algorithm", `model@md5:${"0".repeat(32)}`, "unsupported algorithm"],
    ["two digests", `model@${digest}@${digest}`, "invalid digest"],
    ["a tag after the digest", `model@${digest}:tag`, "invalid digest"],
    ["an empty port", "host:/model", "isn't host[:port]"],
    ["port 0", "host:0/model", "isn't host[:port]"],
    ["a port beyond 65535", "host:65536/model", "isn't host[:port]"],
    ["a port that isn't a number", "host:http/model", "isn't host[:port]"],
    ["an underscore in the host", "my_host.example/model", "isn't host[:port]"],
    ["a host that begins with a dash", "-host.example/model", "isn't host[:port]"],
    ["an IPv6 address without brackets", "::1/model", "isn't host[:port]"],
    ["an IPv6 address with a zone", "[fe80::1%eth0]/model", "isn't host[:port]"],
    ["brackets without an address", "[abc]/model", "must be lower-case letters"],
    ["a user in front of the host", "user:pw@ghcr.io/model", "invalid digest"],
    ["a repository of 256 characters", `ghcr.io/${"a".repeat(256)}`, "longer than 255"],
    ["a host of 256 characters", `${"a.".repeat(127)}aa/m`, "isn't host[:port]"],
    ["a megabyte", "a".repeat(1_000_000), "longer than 2048"],
  ];
  test.each(refused)("%s", (_, text, reason) => {
    expect(() => parseReference(text)).toThrow(InvalidReferenceError);
    expect(() => parseReference(text)).toThrow(reason);
  });

  test("with an error that quotes the value in bounded length", () => {
    expect(() => parseReference("a b")).toThrow('invalid reference "a b": ');
    try {
      parseReference(`ghcr.io/${"A/".repeat(1000)}`);
    } catch (error) {
      expect((error as InvalidReferenceError).message.length).toBeLessThan(1000);
    }
  });

  test("long names without going over them again and again", () => {
    for (const part of ["a-", "a_", "a.", "a--", "a/"]) {
      expect(() => parseReference(`ghcr.io/${part.repeat(600)}!`)).toThrow();
      expect(isRepositoryName(`${part.repeat(120)}!`)).toBe(false);
      expect(isRegistry(`${part.repeat(120)}!`)).toBe(false);
    }
  });
});

describe("the lengths that are allowed", () => {
  test("a repository of 255 characters", () => {
    expect(parseReference(`ghcr.io/${"a".repeat(255)}`).repository).toHaveLength(255);
    expect(isRepositoryName("a".repeat(255))).toBe(true);
    expect(isRepositoryName("a".repeat(256))).toBe(false);
  });

  test("the library/ of Docker Hub counts", () => {
    expect(parseReference("a".repeat(247)).repository).toHaveLength(255);
    expect(() => parseReference("a".repeat(248))).toThrow("longer than 255");
  });

  test("a tag of 128 characters", () => {
    expect(parseReference(`model:${"a".repeat(128)}`).tag).toHaveLength(128);
  });
});

describe("isRepositoryName", () => {
  test.each(["a", "0", "a/b", "a-b", "a--b", "a_b", "a__b", "a.b", "library/ubuntu", "a/b/c/d/e"])(
    "accepts %s",
    (name) => expect(isRepositoryName(name)).toBe(true),
  );

  test.each([
    "",
    "A",
    "/a",
    "a/",
    "a//b",
    "..",
    "a/..",
    "../a",
    "a/../b",
    ".a",
    "a.",
    "_a",
    "a___b",
  ])("refuses %j", (name) => expect(isRepositoryName(name)).toBe(false));

  test.each(["a%2fb", "a\\b", "a\0b", "a\n", "a b", "a:b", "a@b", "é"])("refuses %j", (name) => {
    expect(isRepositoryName(name)).toBe(false);
  });
});

describe("isTag", () => {
  test.each(["a", "_", "A-B_c.d", "1.2.3", "latest", "sha256-abc", "a".repeat(128)])(
    "accepts %s",
    (text) => expect(isTag(text)).toBe(true),
  );

  test.each(["", ".", "..", "-a", ".a", "a/b", "a:b", "a b", "a\n", "é", "a".repeat(129), digest])(
    "refuses %j",
    (text) => expect(isTag(text)).toBe(false),
  );
});

describe("parseRepository", () => {
  test("reads a repository in a registry", () => {
    expect(parseRepository("host:5000/a/b")).toEqual({ registry: "host:5000", repository: "a/b" });
    expect(formatRepository(parseRepository("model"))).toBe("docker.io/library/model");
  });

  test.each(["host/repo:tag", `host/repo@${digest}`, `repo:tag@${digest}`])(
    "refuses %s, which is about more than a repository",
    (text) => {
      expect(() => parseRepository(text)).toThrow("want a repository without tag and digest");
    },
  );
});

describe("parseRegistry", () => {
  test.each([
    ["ghcr.io", "ghcr.io"],
    ["GHCR.IO", "ghcr.io"],
    ["localhost", "localhost"],
    ["host:5000", "host:5000"],
    ["[::1]:5000", "[::1]:5000"],
    ["docker.io", "docker.io"],
    ["index.docker.io", "docker.io"],
    ["oci://ghcr.io/", "ghcr.io"],
  ])("reads %s as %s", (text, registry) => {
    expect(parseRegistry(text)).toBe(registry);
  });

  test.each(["", "ghcr.io/org", "host:", "host:70000", "host:5000/v2", "a b", "user@host", "::1"])(
    "refuses %j",
    (text) => {
      expect(() => parseRegistry(text)).toThrow(InvalidReferenceError);
    },
  );
});

describe("a reference", () => {
  const repository = parseRepository("ghcr.io/org/model");

  test("is identified by its digest where it has one, else by its tag", () => {
    expect(identifierOf(parseReference("model"))).toBe("latest");
    expect(identifierOf(parseReference("model:tag"))).toBe("tag");
    expect(identifierOf(parseReference(`model:tag@${digest}`))).toBe(digest);
    expect(identifierOf(repository)).toBe("latest");
  });

  test("is made of a repository and a tag, whatever was in it before", () => {
    const before = parseReference(`ghcr.io/org/model:old@${digest}`);
    expect(formatReference(withTag(before, "new"))).toBe("ghcr.io/org/model:new");
    expect(() => withTag(repository, "a/b")).toThrow(InvalidReferenceError);
  });

  test("is made of a repository and a digest, whatever was in it before", () => {
    const before = parseReference("ghcr.io/org/model:old");
    expect(formatReference(withDigest(before, digest as Digest))).toBe(
      `ghcr.io/org/model@${digest}`,
    );
  });
});
