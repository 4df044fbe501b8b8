import { describe, expect, test } from "bun:test";
import { Failure } from "../../src/lib/failure.ts";
import { parseHostsFile, parsePlace } from "../../src/registry/hosts-file.ts";

const PATH = "/etc/containerd/certs.d/docker.io/hosts.toml";
const parse = (text: string) => parseHostsFile(text, PATH);

describe("hosts.toml", () => {
  test("names the registry's place and its mirrors, in the order of the file", () => {
    const { server, hosts, ignored } = parse(`
      server = "https://registry-1.docker.io"
      [host."https://public.example"]
        capabilities = ["pull"]
      [host."http://10.0.0.1:5000"]
        capabilities = ["pull", "Resolve"]
      [host."https://any.example"]
    `);
    expect(server).toEqual({
      registry: "docker.io",
      origin: "https://registry-1.docker.io",
      path: "/v2",
    });
    expect(hosts).toEqual([
      {
        host: { registry: "public.example", origin: "https://public.example", path: "/v2" },
        pull: true,
        resolve: false,
      },
      {
        host: { registry: "10.0.0.1:5000", origin: "http://10.0.0.1:5000", path: "/v2" },
        pull: true,
        resolve: true,
      },
      {
        host: { registry: "any.example", origin: "https://any.example", path: "/v2" },
        pull: true,
        resolve: true,
      },
    ]);
    expect(ignored).toEqual([]);
  });

  test("says how a host is reached, with paths beside the file", () => {
    const { server, hosts } = parse(`
      ca = "own.crt"
      [host."https://m.example/v2/hub"]
        override_path = true
        ca = ["a.crt", "/certs/b.crt"]
        client = [["me.cert", "me.key"], ["other.pem", ""]]
        skip_verify = true
        proxy = "http://proxy.example:3128"
        dial_timeout = "1s"
        [host."https://m.example/v2/hub".header]
          X-Team = "models"
          x-list = ["a", "b"]
    `);
    const directory = "/etc/containerd/certs.d/docker.io";
    expect(server).toEqual({ tls: { ca: [`${directory}/own.crt`] } });
    expect(hosts[0]?.host).toEqual({
      registry: "m.example",
      origin: "https://m.example",
      path: "/v2/hub",
      headers: { "x-team": "models", "x-list": "a, b" },
      proxy: {
        url: "http://proxy.example:3128/",
        name: "proxy.example:3128",
        source: `"${PATH}": host."https://m.example/v2/hub".proxy`,
        hasCredentials: false,
      },
      tls: {
        ca: [`${directory}/a.crt`, "/certs/b.crt"],
        client: { cert: `${directory}/me.cert`, key: `${directory}/me.key` },
        skipVerify: true,
      },
    });
  });

  test.each([
    ['client = "me.pem"', "me.pem", "me.pem"],
    ['client = ["me.pem", "other.pem"]', "me.pem", "me.pem"],
    ['client = [["me.pem", ""]]', "me.pem", "me.pem"],
    ['client = [["/a.cert", "/a.key"]]', "/a.cert", "/a.key"],
  ])("%s shows who we are", (text, cert, key) => {
    const absolute = (path: string) =>
      path.startsWith("/") ? path : `/etc/containerd/certs.d/docker.io/${path}`;
    expect(parse(text).server.tls?.client).toEqual({ cert: absolute(cert), key: absolute(key) });
  });

  test("passes over what it doesn't know, and says so", () => {
    expect(parse('skip_verfy = true\n[host."https://m"]\nnew = 1').ignored).toEqual([
      "skip_verfy",
      'host."https://m".new',
    ]);
  });

  test.each([
    ["server = ", "isn't TOML"],
    ["server = 1", "server: want the URL of the registry"],
    ['server = "https://me:secret@m"', "server: want http(s)://"],
    ['server = "https://m?x"', "server: want http(s)://"],
    ["host = 1", "host: want tables"],
    ['host."https://m" = 1', 'host."https://m": want a table'],
    ['[host."https://"]', 'host."https://": want http(s)://'],
    ['capabilities = "pull"', "capabilities: want a list of"],
    ['[host."https://m"]\ncapabilities = ["fly"]', 'host."https://m".capabilities: want a list of'],
    ["ca = 1", "ca: want the path"],
    ["client = []\nskip_verify = 1", "skip_verify: want true or false"],
    ["client = [[]]", "client: want the path"],
    ['header = "x"', "header: want names"],
    ['[header]\n"a b" = "x"', 'header."a b": want the name'],
    ['[header]\nhost = "x"', 'header."host": want the name'],
    ['[header]\nx-a = "a\\nb"', "header.x-a: want plain text"],
    ['proxy = "socks5://me:secret@p"', "proxy names a proxy that speaks socks5"],
  ])("%j ends in one line that names the file and the key", (text, words) => {
    try {
      parse(text);
      throw new Error("it was accepted");
    } catch (error) {
      expect(error).toBeInstanceOf(Failure);
      expect((error as Failure).kind).toBe("usage");
      const { message } = error as Failure;
      expect(message).toStartWith(`"${PATH}"`);
      expect(message).toContain(words);
      expect(message).not.toMatch(/\n|secret/);
    }
  });
});

describe("the place of a host", () => {
  test.each([
    ["m.example", false, "https://m.example", "/v2"],
    ["http://m.example:5000/", false, "http://m.example:5000", "/v2"],
    ["https://m.example/v2", false, "https://m.example", "/v2"],
    ["https://m.example/mirror", false, "https://m.example", "/mirror/v2"],
    ["https://m.example/v2/hub/", true, "https://m.example", "/v2/hub"],
    ["https://m.example", true, "https://m.example", ""],
    ["https://docker.io", false, "https://registry-1.docker.io", "/v2"],
  ])("%s (override_path = %p) is %s%s", (url, overridesPath, origin, path) => {
    expect(parsePlace(url, overridesPath)).toMatchObject({ origin, path });
  });
});
