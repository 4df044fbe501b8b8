import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { findDuplicateKey, isNestedDeeper } from "../../src/lib/json.ts";

describe("isNestedDeeper", () => {
  test("counts objects and lists within each other, and not beside each other", () => {
    const text = '[{"a":[1,{"b":{}}]},[],[],[],[],{},{}]';
    expect(isNestedDeeper(text, 5)).toBe(false);
    expect(isNestedDeeper(text, 4)).toBe(true);
    expect(isNestedDeeper("1", 0)).toBe(false);
  });

  test("doesn't count what stands in strings, whatever is escaped there", () => {
    expect(isNestedDeeper('["[[[[", "\\"[[[[", "{{\\\\", "{"]', 1)).toBe(false);
    expect(isNestedDeeper('["\\\\", [[]]]', 2)).toBe(true);
  });

  test("takes what isn't JSON", () => {
    for (const text of ["", '"', '"\\', "]]]]", "}{", '["']) {
      expect(isNestedDeeper(text, 1)).toBe(false);
    }
  });
});

describe("findDuplicateKey", () => {
  test("finds a key that stands twice in the outermost object", () => {
    expect(findDuplicateKey('{"a":1,"b":2,"a":3}')).toBe("a");
  });

  test("finds a key that stands twice in a nested object", () => {
    expect(findDuplicateKey('{"a":[{"x":1},{"y":{"z":1,"z":2}}]}')).toBe("z");
  });

  test("finds a key whose second writing is escaped", () => {
    expect(findDuplicateKey('{"ab":1,"\\u0061b":2}')).toBe("ab");
  });

  test("finds a key with white space before its colon", () => {
    expect(findDuplicateKey('{"a" :1,"a"\n\t\r :2}')).toBe("a");
  });

  test("finds an empty key that stands twice", () => {
    expect(findDuplicateKey('{"":1,"":2}')).toBe("");
  });

  test("takes the same key in different objects for no duplicate", () => {
    expect(findDuplicateKey('{"a":{"a":1},"b":[{"a":1},{"a":2}]}')).toBeUndefined();
  });

  test("takes strings that aren't keys for no duplicate", () => {
    expect(findDuplicateKey('{"a":"a","b":["a","a"],"c":"a"}')).toBeUndefined();
  });

  test("isn't misled by quotes, braces and backslashes inside strings", () => {
    expect(findDuplicateKey(String.raw`{"a":"{\"a\":1,","b":"\\","c":"\\\"","a":2}`)).toBe("a");
    expect(findDuplicateKey(String.raw`{"a":"}\",\"a\":{","b\\":"\\","b":1}`)).toBeUndefined();
  });

  test("finds none in what JSON.stringify has written", () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        expect(findDuplicateKey(JSON.stringify(value, null, 1))).toBeUndefined();
      }),
    );
  });

  test("finds every key that is written twice, whatever it is", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), fc.jsonValue(), (key, value) => {
        const [name, json] = [JSON.stringify(key), JSON.stringify(value)];
        expect(findDuplicateKey(`[0,{${name}:${json},${name}:1}]`)).toBe(key);
      }),
    );
  });

  test("goes through objects nested a hundred thousand deep", () => {
    const depth = 100_000;
    const text = `${'{"a":'.repeat(depth)}1${"}".repeat(depth)}`;
    expect(findDuplicateKey(text)).toBeUndefined();
  });
});
