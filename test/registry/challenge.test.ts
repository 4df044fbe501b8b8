import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { type Challenge, parseChallenges } from "../../src/registry/challenge.ts";

function plain(challenges: Challenge[]) {
  return challenges.map(({ scheme, parameters }) => [scheme, Object.fromEntries(parameters)]);
}

describe("parseChallenges", () => {
  test("reads Docker Hub's Bearer challenge", () => {
    const header =
      'Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:library/x:pull"';
    expect(plain(parseChallenges(header))).toEqual([
      [
        "bearer",
        {
          realm: "https://auth.docker.io/token",
          service: "registry.docker.io",
          scope: "repository:library/x:pull",
        },
      ],
    ]);
  });

  test("keeps commas, equals signs and escapes that stand within quotes", () => {
    const header = String.raw`Bearer realm="https://a/?x=1,2" , scope="repository:a:pull,push", error="say \"hi\""`;
    expect(plain(parseChallenges(header))).toEqual([
      ["bearer", { realm: "https://a/?x=1,2", scope: "repository:a:pull,push", error: 'say "hi"' }],
    ]);
  });

  test("tells several challenges in one header apart", () => {
    const header = 'Negotiate, NTLM abc==, Basic realm="a", Bearer realm=b, service = "c"';
    expect(plain(parseChallenges(header))).toEqual([
      ["negotiate", {}],
      ["ntlm", {}],
      ["basic", { realm: "a" }],
      ["bearer", { realm: "b", service: "c" }],
    ]);
  });

  test("reads a realm without quotes", () => {
    expect(plain(parseChallenges("bearer REALM=https://a/token,service=b"))).toEqual([
      ["bearer", { realm: "https://a/token", service: "b" }],
    ]);
  });

  test("takes the first of two values", () => {
    expect(plain(parseChallenges('Bearer realm="a",realm="b"'))).toEqual([
      ["bearer", { realm: "a" }],
    ]);
  });

  test("doesn't take a parameter for a property of all objects", () => {
    const [challenge] = parseChallenges('Bearer __proto__="x", constructor="y"');
    expect(challenge?.parameters.get("constructor")).toBe("y");
    expect(challenge?.parameters.get("toString")).toBeUndefined();
  });

  test("finds nothing in nothing", () => {
    expect(parseChallenges(null)).toEqual([]);
    expect(parseChallenges("")).toEqual([]);
    expect(parseChallenges(" , ,")).toEqual([]);
  });

  const token = fc.stringMatching(/^[A-Za-z][A-Za-z0-9!#$&'*+.^_`|~-]{0,12}$/);
  // Printable ASCII with every character that needs care.
  const text = fc.stringMatching(/^[ -~]{0,40}$/);
  const challenge = fc.record({
    scheme: token,
    parameters: fc.uniqueArray(fc.tuple(token, text), {
      minLength: 1,
      maxLength: 5,
      selector: ([name]) => name.toLowerCase(),
    }),
  });

  test("reads whatever the grammar writes", () => {
    fc.assert(
      fc.property(
        fc.array(challenge, { maxLength: 4 }),
        fc.constantFrom(",", ", ", " , "),
        (all, comma) => {
          const header = all
            .map(({ scheme, parameters }) => {
              const written = parameters.map(
                ([name, value]) => `${name}="${value.replace(/["\\]/g, "\\$&")}"`,
              );
              return `${scheme} ${written.join(comma)}`;
            })
            .join(comma);
          expect(plain(parseChallenges(header))).toEqual(
            all.map(({ scheme, parameters }) => [
              scheme.toLowerCase(),
              Object.fromEntries(parameters.map(([name, value]) => [name.toLowerCase(), value])),
            ]),
          );
        },
      ),
    );
  });

  test("ends on any input", () => {
    const pieces = fc.constantFrom(
      '"',
      "\\",
      ",",
      "=",
      " ",
      "Bearer",
      "realm",
      "a",
      "\t",
      "é",
      "==",
    );
    fc.assert(
      fc.property(fc.array(pieces, { maxLength: 200 }), (parts) => {
        parseChallenges(parts.join(""));
      }),
    );
    parseChallenges(`Bearer realm="${"\\".repeat(100_000)}`);
    parseChallenges('a="'.repeat(50_000));
    parseChallenges("a ".repeat(50_000));
  });
});
