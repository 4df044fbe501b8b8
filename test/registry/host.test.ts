import { describe, expect, test } from "bun:test";
import { Failure } from "../../src/lib/failure.ts";
import { endpointUrl, isLoopback, isMachineLocal, resolveHost } from "../../src/registry/host.ts";
import type { ClientOptions } from "../../src/registry/options.ts";
import { coversHost } from "../../src/registry/options.ts";
import { resolveTarget } from "../../src/registry/target.ts";

describe("resolveHost", () => {
  test.each([
    ["docker.io", "https://registry-1.docker.io"],
    ["ghcr.io", "https://ghcr.io"],
    ["registry.example:5000", "https://registry.example:5000"],
    ["localhost:5000", "http://localhost:5000"],
    ["127.8.8.8:5000", "http://127.8.8.8:5000"],
    ["[::1]:5000", "http://[::1]:5000"],
    ["10.0.0.1:5000", "https://10.0.0.1:5000"],
  ])("asks for %s at %s", (registry, origin) => {
    expect(resolveHost(registry)).toEqual({ registry, origin });
  });

  test("speaks plain HTTP where it was told to", () => {
    expect(resolveHost("a.example:5000", { plainHttp: ["a.example"] }).origin).toBe(
      "http://a.example:5000",
    );
    expect(resolveHost("a.example:5000", { plainHttp: ["a.example:5001"] }).origin).toBe(
      "https://a.example:5000",
    );
    expect(resolveHost("a.example", { plainHttp: true }).origin).toBe("http://a.example");
    expect(resolveHost("docker.io", { plainHttp: true }).origin).toBe(
      "https://registry-1.docker.io",
    );
  });

  test("on this machine is spoken to by TLS when an option is about certificates", () => {
    const origin = (options: ClientOptions) => resolveHost("127.0.0.1:5000", options).origin;
    expect(origin({})).toBe("http://127.0.0.1:5000");
    expect(origin({ caFile: "ca.pem" })).toBe("https://127.0.0.1:5000");
    expect(origin({ insecureSkipTlsVerify: true })).toBe("https://127.0.0.1:5000");
    expect(origin({ insecureSkipTlsVerify: ["localhost"] })).toBe("http://127.0.0.1:5000");
    expect(origin({ caFile: "ca.pem", plainHttp: true })).toBe("http://127.0.0.1:5000");
  });

  test.each(["", "a/b", "user@host", "a b", "host:port", "host:99999"])(
    "refuses %p",
    (registry) => {
      expect(() => resolveHost(registry)).toThrow(Failure);
    },
  );
});

describe("endpointUrl", () => {
  const host = resolveHost("a.example");

  test("puts the repository into the path", () => {
    expect(endpointUrl(host, "a/b", "tags/list").href).toBe("https://a.example/v2/a/b/tags/list");
  });

  test.each(["..", "a/../b", "/a", "a?x", "A", ""])("refuses the repository %p", (repository) => {
    expect(() => endpointUrl(host, repository, "tags/list")).toThrow(Failure);
  });
});

describe("coversHost", () => {
  test("covers everything, nothing, or what is listed", () => {
    expect(coversHost(true, "a:1")).toBe(true);
    expect(coversHost(false, "a:1")).toBe(false);
    expect(coversHost(undefined, "a:1")).toBe(false);
    expect(coversHost(["A.example", "b:1"], "a.example:5000")).toBe(true);
    expect(coversHost(["b:1"], "b:2")).toBe(false);
    expect(coversHost(["[::2]"], "[::2]:80")).toBe(true);
  });
});

describe("local addresses", () => {
  // As URL writes them, which is how they are compared.
  const hostname = (text: string) => new URL(`http://${text}/`).hostname;

  test.each(["localhost", "localhost.", "127.0.0.1", "2130706433", "0x7f.1", "[::1]"])(
    "%s is loopback",
    (text) => {
      expect(isLoopback(hostname(text))).toBe(true);
      expect(isMachineLocal(hostname(text))).toBe(true);
    },
  );

  test.each([
    "a.localhost",
    "localhost.localdomain",
    "ip6-loopback",
    "100.100.100.200",
    "[fd20:ce::254]",
    "metadata.google.internal.",
    "0.0.0.0",
    "0",
    "[::]",
    "169.254.169.254",
    "[fe80::1]",
    "[::ffff:127.0.0.1]",
    "[::ffff:169.254.1.1]",
  ])("%s stays on this machine or its link", (text) => {
    expect(isMachineLocal(hostname(text))).toBe(true);
  });

  test.each([
    "10.0.0.1",
    "a.example",
    "127.0.0.1.example",
    "localhost.example",
    "[2001:db8::1]",
    "[fd00::1]",
  ])("%s is elsewhere", (text) => {
    expect(isMachineLocal(hostname(text))).toBe(false);
  });
});

describe("resolveTarget", () => {
  const from = new URL("https://a.example/v2/x");
  const follow = (location: string, base = from) => resolveTarget("redirect", location, base).href;

  test("follows relative and absolute locations", () => {
    expect(follow("/y?z=1")).toBe("https://a.example/y?z=1");
    expect(follow("https://b.example/y")).toBe("https://b.example/y");
    expect(follow("http://10.0.0.1/y", new URL("http://10.0.0.2/"))).toBe("http://10.0.0.1/y");
  });

  test("stays with https on the same host, as registries behind a proxy don't know of it", () => {
    expect(follow("http://a.example/y")).toBe("https://a.example/y");
    expect(follow("https://c.example/y", new URL("http://c.example/"))).toBe("https://c.example/y");
  });

  test("drops credentials and fragments", () => {
    expect(follow("https://user:secret@b.example/y#z")).toBe("https://b.example/y");
  });

  test.each([
    "http://b.example/",
    "file:///etc/passwd",
    "ftp://b.example/",
    "javascript:alert(1)",
    "data:text/plain,x",
    "https://127.0.0.1/",
    "https://localhost:8443/",
    "https://169.254.169.254/latest/meta-data",
    "https://[::1]/",
    "https://[::ffff:7f00:1]/",
    "https://0x7f000001/",
    "https://",
  ])("doesn't follow %s", (location) => {
    expect(() => follow(location)).toThrow(Failure);
  });

  test("goes from https to http only where plain HTTP was allowed", () => {
    expect(resolveTarget("redirect", "http://b.example/", from, ["b.example"]).href).toBe(
      "http://b.example/",
    );
  });

  test("keeps queries, which may be signatures, and passwords out of its message", () => {
    try {
      follow("http://user:hidden@b.example/y?signature=hidden");
      throw new Error("it was followed");
    } catch (error) {
      expect(String(error)).toContain("b.example/y");
      expect(String(error)).not.toContain("hidden");
    }
  });
});
