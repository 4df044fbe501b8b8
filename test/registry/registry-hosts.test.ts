import { describe, expect, test } from "bun:test";
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { Failure } from "../../src/lib/failure.ts";
import { apiUrl, repositoryAt } from "../../src/registry/host.ts";
import type { ClientEvent, ClientOptions } from "../../src/registry/options.ts";
import { RegistryHosts } from "../../src/registry/registry-hosts.ts";
import { temporaryDirectory } from "../support/temp.ts";

/** A directory of hosts that holds these files. */
function directoryOf(files: Record<string, string>): string {
  const root = temporaryDirectory();
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(root, name)), { recursive: true });
    writeFileSync(join(root, name), text);
  }
  return root;
}

function hostsOf(registry: string, files: Record<string, string>, options: ClientOptions = {}) {
  const hostsDirectories = [directoryOf(files)];
  return new RegistryHosts({ ...options, hostsDirectories }).of(registry);
}

const originOf = (registry: string, files: Record<string, string>, options?: ClientOptions) =>
  hostsOf(registry, files, options).origin.origin;
const urls = ({ mirrors }: ReturnType<typeof hostsOf>) =>
  mirrors.map(({ host }) => apiUrl(host, "a/tags/list").href);

describe("the hosts of a registry", () => {
  test("are itself, where nothing is said", () => {
    const { origin, mirrors } = hostsOf("docker.io", {});
    expect(origin).toEqual({ registry: "docker.io", origin: "https://registry-1.docker.io" });
    expect(mirrors).toEqual([]);
  });

  test("are its mirrors too, which are told what they stand in for", () => {
    const toml = '[host."https://m"]\n[host."http://n:5000/x"]\ncapabilities = ["pull"]';
    const hosts = hostsOf("docker.io", { "docker.io/hosts.toml": toml });
    expect(urls(hosts)).toEqual([
      "https://m/v2/a/tags/list?ns=docker.io",
      "http://n:5000/x/v2/a/tags/list?ns=docker.io",
    ]);
    expect(hosts.mirrors.map(({ resolves }) => resolves)).toEqual([true, false]);
    expect(hosts.origin.origin).toBe("https://registry-1.docker.io");
  });

  test("are found under the name with its port in either spelling", () => {
    const toml = '[host."https://m"]';
    for (const name of ["a.example_5000_", "a.example:5000"]) {
      expect(urls(hostsOf("a.example:5000", { [`${name}/hosts.toml`]: toml }))).toHaveLength(1);
      expect(urls(hostsOf("a.example", { [`${name}/hosts.toml`]: toml }))).toEqual([]);
    }
  });

  test("are those of _default, where they have no directory of their own", () => {
    const files = {
      "_default/hosts.toml": '[host."https://m"]',
      "own.example/hosts.toml": 'server = "https://own.example"',
    };
    expect(urls(hostsOf("a.example", files))).toEqual(["https://m/v2/a/tags/list?ns=a.example"]);
    expect(urls(hostsOf("own.example", files))).toEqual([]);
    // The mirror of all others isn't one of itself.
    expect(urls(hostsOf("m", files))).toEqual([]);
  });

  test("may be one that stands in for the registry", () => {
    const files = { "a.example/hosts.toml": 'server = "http://10.0.0.1:5000"' };
    const { origin } = hostsOf("a.example", files);
    expect(origin).toMatchObject({ registry: "10.0.0.1:5000", origin: "http://10.0.0.1:5000" });
    expect(apiUrl(origin, "x").href).toBe("http://10.0.0.1:5000/v2/x?ns=a.example");
  });

  test("include no mirror that can't be pulled from", () => {
    const toml = '[host."https://m"]\ncapabilities = ["push"]';
    expect(urls(hostsOf("docker.io", { "docker.io/hosts.toml": toml }))).toEqual([]);
  });

  test("take from an entry of the registry itself how it is reached", () => {
    const toml = 'server = "https://a.example"\n[host."https://a.example"]\nskip_verify = true';
    const { origin, mirrors } = hostsOf("a.example", { "a.example/hosts.toml": toml });
    expect(origin).toMatchObject({ origin: "https://a.example", tls: { skipVerify: true } });
    expect(mirrors).toEqual([]);
    const plain = { "a.example_5000_/hosts.toml": '[host."http://a.example:5000"]' };
    expect(originOf("a.example:5000", plain)).toBe("http://a.example:5000");
  });

  test("come with the certificates of docker's convention", () => {
    const files = {
      "a.example/ca.crt": "",
      "a.example/client.cert": "",
      "a.example/client.key": "",
      "127.0.0.1_5000_/ca.crt": "",
    };
    const directory = directoryOf(files);
    const hosts = new RegistryHosts({ hostsDirectories: [directory] });
    expect(hosts.of("a.example").origin.tls).toEqual({
      ca: [join(directory, "a.example/ca.crt")],
      client: {
        cert: join(directory, "a.example/client.cert"),
        key: join(directory, "a.example/client.key"),
      },
    });
    expect(hosts.of("127.0.0.1:5000").origin.origin).toBe("https://127.0.0.1:5000");
  });

  test("come from the directory that knows the registry, before any default", () => {
    const first = directoryOf({ "_default/hosts.toml": '[host."https://first"]' });
    const second = directoryOf({ "a.example/hosts.toml": '[host."https://second"]' });
    const hosts = new RegistryHosts({ hostsDirectories: [first, second] });
    expect(urls(hosts.of("a.example"))[0]).toStartWith("https://second/");
    expect(urls(hosts.of("b.example"))[0]).toStartWith("https://first/");
  });

  test("come from the user's own directory where none is named", () => {
    const home = directoryOf({
      ".config/ocireg/certs.d/a.example/hosts.toml": '[host."https://m"]',
    });
    expect(urls(new RegistryHosts({ env: { HOME: home } }).of("a.example"))).toHaveLength(1);
  });

  test("begin with the mirrors that were named for this run, which give content alone", () => {
    const files = { "docker.io/hosts.toml": '[host."https://file"]' };
    const mirrors = { "docker.io": ["https://one", "https://two/v2/hub", "127.0.0.1:5000"] };
    const hosts = hostsOf("docker.io", files, { mirrors });
    expect(urls(hosts)).toEqual([
      "https://one/v2/a/tags/list?ns=docker.io",
      "https://two/v2/hub/a/tags/list?ns=docker.io",
      "http://127.0.0.1:5000/v2/a/tags/list?ns=docker.io",
      "https://file/v2/a/tags/list?ns=docker.io",
    ]);
    expect(hosts.mirrors.map(({ resolves }) => resolves)).toEqual([false, false, false, true]);
  });

  test("know the repository by a name of their own where their API begins within a namespace", () => {
    const host = { registry: "m", origin: "https://m", path: "/v2/hub" };
    expect(repositoryAt(host, "a/b")).toEqual({ registry: "m", repository: "hub/a/b" });
    expect(repositoryAt({ ...host, path: "/x/v2" }, "a/b").repository).toBe("a/b");
  });
});

describe("what isn't right about them", () => {
  const failure = (read: () => unknown): Failure => {
    try {
      read();
    } catch (error) {
      if (error instanceof Failure) return error;
    }
    throw new Error("there was no failure");
  };

  test("is said once where it is no obstacle", () => {
    const events: ClientEvent[] = [];
    const hosts = new RegistryHosts({
      hostsDirectories: [directoryOf({ "_default/hosts.toml": "typo = 1" })],
      onEvent: (event) => events.push(event),
    });
    hosts.of("a.example");
    hosts.of("b.example");
    expect(events).toHaveLength(1);
    expect(JSON.stringify(events)).toContain("typo");
  });

  test("is a failure of usage", () => {
    const mirrors = { "a.example": ["https://me:secret@m"] };
    const named = failure(() => hostsOf("a.example", {}, { mirrors }));
    expect(named.message).toContain("a mirror of a.example");
    expect(named.message).not.toContain("secret");

    const hostsDirectories = ["/nowhere/certs.d"];
    const absent = failure(() => new RegistryHosts({ hostsDirectories }).of("a.example"));
    expect(absent.message).toContain('"/nowhere/certs.d"');
    const large = { "a.example/hosts.toml": "#".repeat(1024 * 1024 + 1) };
    expect(failure(() => hostsOf("a.example", large)).message).toContain("too large");
    expect(failure(() => hostsOf("../a", {})).kind).toBe("usage");
  });

  test("is a file that can.t be read", () => {
    const root = directoryOf({ "a.example/hosts.toml/x": "" });
    const hosts = new RegistryHosts({ hostsDirectories: [root] });
    expect(failure(() => hosts.of("a.example")).message).toContain("EISDIR");
  });
});
