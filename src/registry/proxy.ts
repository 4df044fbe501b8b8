/**
 * Which proxy a request goes through: `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY` and `NO_PROXY`, in
 * capitals or not, by the rules of Go's tools and curl.
 */
import { BlockList, isIP } from "node:net";
import { Failure } from "../lib/failure.ts";
import { isMachineLocal } from "./host.ts";

type Environment = Readonly<Record<string, string | undefined>>;

export interface ForwardProxy {
  /** With the user and password, where it wants some: not for messages. */
  readonly url: string;
  /** `proxy.example:3128` */
  readonly name: string;
  /** What named it: `HTTPS_PROXY`. */
  readonly source: string;
  readonly hasCredentials: boolean;
}

const PROTOCOLS = new Set(["http:", "https:"]);

/** Finds the proxy for a URL; undefined where the host is spoken to directly. */
export type ProxyFinder = (url: URL) => ForwardProxy | undefined;

/** The proxies that `env` names. This machine and its link are never reached by way of one. */
export function proxiesOf(env: Environment): ProxyFinder {
  const found = new Map<string, ForwardProxy | undefined>();
  const isExempt = parseNoProxy(read(env, "NO_PROXY")?.value ?? "");
  return (url) => {
    if (found.has(url.origin)) return found.get(url.origin);
    const named =
      read(env, url.protocol === "https:" ? "HTTPS_PROXY" : "HTTP_PROXY") ?? read(env, "ALL_PROXY");
    const isDirect = !named || isMachineLocal(url.hostname) || isExempt(url);
    const proxy = isDirect ? undefined : parseProxy(named.value, named.source);
    found.set(url.origin, proxy);
    return proxy;
  };
}

/** An empty variable counts as none. */
function read(env: Environment, name: string): { value: string; source: string } | undefined {
  for (const source of [name, name.toLowerCase()]) {
    const value = env[source]?.trim();
    if (value) return { value, source };
  }
  return undefined;
}

/** @throws {Failure} `usage`, which doesn't quote `value`: it may hold a password */
export function parseProxy(value: string, source: string): ForwardProxy {
  const refuse = (reason: string) =>
    new Failure(
      "usage",
      `${source} ${reason}: want http://[USER:PASSWORD@]HOST:PORT, or https://…`,
    );
  const url = URL.parse(value.includes("://") ? value : `http://${value}`);
  if (!url?.hostname) throw refuse("names no proxy");
  if (!PROTOCOLS.has(url.protocol)) {
    throw refuse(`names a proxy that speaks ${url.protocol.slice(0, -1)}, which isn't supported`);
  }
  const hasCredentials = url.username !== "" || url.password !== "";
  return { url: url.href, name: url.host, source, hasCredentials };
}

/**
 * Whether a URL's host is on the list: `*`, a name (and all below it), `.name` or `*.name` (the
 * same), an address or a range of them (`10.0.0.0/8`), each with a port or without.
 */
export function parseNoProxy(list: string): (url: URL) => boolean {
  const entries = list
    .toLowerCase()
    .split(/[\s,]+/)
    .filter((entry) => entry !== "");
  if (entries.includes("*")) return () => true;
  const ranges = new BlockList();
  const names: { name: string; port: string | undefined }[] = [];
  for (const entry of entries) {
    if (addRange(ranges, entry)) continue;
    const [, name = "", port] = /^(.*?)(?::(\d+))?$/.exec(entry) ?? [];
    // An IPv6 address without brackets has colons of its own.
    names.push(isIP(entry) ? { name: entry, port: undefined } : { name, port });
  }
  return (url) => {
    const host = url.hostname.replace(/^\[|\]$/g, "").replace(/\.$/, "");
    const family = isIP(host);
    if (family !== 0 && ranges.check(host, family === 6 ? "ipv6" : "ipv4")) return true;
    const ownPort = url.port || (url.protocol === "https:" ? "443" : "80");
    return names.some(({ name, port }) => {
      const suffix = name.replace(/^\*?\./, "").replace(/^\[|\]$/g, "");
      const isNamed = host === suffix || (family === 0 && host.endsWith(`.${suffix}`));
      return isNamed && suffix !== "" && (port === undefined || port === ownPort);
    });
  };
}

function addRange(ranges: BlockList, entry: string): boolean {
  const [, address = "", bits = ""] = /^([0-9a-f.:]+)\/(\d{1,3})$/.exec(entry) ?? [];
  const family = isIP(address);
  if (family === 0 || Number(bits) > (family === 6 ? 128 : 32)) return false;
  ranges.addSubnet(address, Number(bits), family === 6 ? "ipv6" : "ipv4");
  return true;
}
