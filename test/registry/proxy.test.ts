import { describe, expect, test } from "bun:test";
import { Failure } from "../../src/lib/failure.ts";
import { parseNoProxy, proxiesOf } from "../../src/registry/proxy.ts";

const find = (env: Record<string, string>, url: string) => proxiesOf(env)(new URL(url));

describe("the proxy of a URL", () => {
  test.each([
    [{ HTTPS_PROXY: "http://p:1" }, "https://a.example/", "p:1", "HTTPS_PROXY"],
    [{ https_proxy: "http://p:1" }, "https://a.example/", "p:1", "https_proxy"],
    [{ HTTP_PROXY: "p:1" }, "http://a.example/", "p:1", "HTTP_PROXY"],
    [{ ALL_PROXY: "http://p:1" }, "https://a.example/", "p:1", "ALL_PROXY"],
    [{ all_proxy: "https://p" }, "http://a.example/", "p", "all_proxy"],
    [{ HTTPS_PROXY: "", https_proxy: "p:2" }, "https://a.example/", "p:2", "https_proxy"],
    [{ HTTPS_PROXY: "p:1", ALL_PROXY: "q:1" }, "https://a.example/", "p:1", "HTTPS_PROXY"],
  ])("%j names that of %s", (env, url, name, source) => {
    expect(find(env as Record<string, string>, url)).toMatchObject({ name, source });
  });

  test("has its user and password in its URL, and not in its name", () => {
    const proxy = find({ HTTPS_PROXY: "http://me:s%40crt@p:1" }, "https://a.example/");
    expect(proxy).toEqual({
      url: "http://me:s%40crt@p:1/",
      name: "p:1",
      source: "HTTPS_PROXY",
      hasCredentials: true,
    });
  });

  test.each([
    [{}, "https://a.example/"],
    [{ HTTP_PROXY: "http://p:1" }, "https://a.example/"],
    [{ HTTPS_PROXY: "http://p:1" }, "http://a.example/"],
    [{ HTTPS_PROXY: "http://p:1", NO_PROXY: "a.example" }, "https://a.example/"],
  ])("there is none by %j for %s", (env, url) => {
    expect(find(env as Record<string, string>, url)).toBeUndefined();
  });

  test.each(["http://localhost:5000/", "http://127.0.0.1/", "http://127.1.2.3/", "http://[::1]/"])(
    "there is never one for %s",
    (url) => {
      expect(find({ ALL_PROXY: "http://p:1" }, url)).toBeUndefined();
    },
  );

  test.each(["socks5://me:secret@p:1", "http://me:secret@", "http://[secret"])(
    "%p is refused without being quoted",
    (value) => {
      try {
        find({ HTTPS_PROXY: value }, "https://a.example/");
        throw new Error("it was accepted");
      } catch (error) {
        expect(error).toBeInstanceOf(Failure);
        expect(String(error)).toContain("HTTPS_PROXY");
        expect(String(error)).not.toContain("secret");
      }
    },
  );
});

describe("NO_PROXY", () => {
  test.each([
    ["*", "https://a.example/"],
    ["a.example", "https://a.example/"],
    ["A.Example", "https://a.example:5000/"],
    ["example", "https://a.example/"],
    [".a.example", "https://b.a.example/"],
    ["*.a.example", "https://b.a.example/"],
    [".a.example", "https://a.example/"],
    ["a.example:443", "https://a.example/"],
    ["a.example:5000", "https://a.example:5000/"],
    ["b.example, a.example", "https://a.example/"],
    ["b.example a.example", "https://a.example/"],
    ["10.1.2.3", "https://10.1.2.3/"],
    ["10.0.0.0/8", "https://10.1.2.3:5000/"],
    ["fd00::/8", "https://[fd12::1]:5000/"],
    ["fd12::1", "https://[fd12::1]/"],
    ["[fd12::1]:5000", "https://[fd12::1]:5000/"],
  ])("%p covers %s", (list, url) => {
    expect(parseNoProxy(list)(new URL(url))).toBe(true);
  });

  test.each([
    ["", "https://a.example/"],
    ["a.example", "https://ba.example/"],
    ["b.a.example", "https://a.example/"],
    ["a.example:80", "https://a.example/"],
    ["10.0.0.0/8", "https://11.1.2.3/"],
    ["10.0.0.0/8", "https://a.example/"],
    ["10.0.0.0/99", "https://10.1.2.3/"],
    ["1.2.3", "https://10.1.2.3/"],
    [".", "https://a.example/"],
  ])("%p doesn't cover %s", (list, url) => {
    expect(parseNoProxy(list)(new URL(url))).toBe(false);
  });
});
