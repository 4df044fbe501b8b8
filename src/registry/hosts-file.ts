/**
 * `hosts.toml`, in which containerd keeps how a registry is reached: its format. The counterpart of
 * containerd's docs/hosts.md.
 */
import { resolve } from "node:path";
import { type Static, type TSchema, Type } from "@sinclair/typebox";
import { Value } from "@sinclair/typebox/value";
import { Failure } from "../lib/failure.ts";
import { oneLine } from "../lib/one-line.ts";
import { DEFAULT_REGISTRY } from "../oci/reference.ts";
import { type Host, registryOf, resolveHost } from "./host.ts";
import { parseProxy } from "./proxy.ts";
import type { ClientCertificate } from "./tls.ts";

/** A mirror of the file, before it is known which registry it stands in for. */
export interface HostEntry {
  readonly host: Host;
  /** Gives content by digest. */
  readonly pull: boolean;
  /** Is trusted to say what a tag means. */
  readonly resolve: boolean;
}

export interface HostsFile {
  /** What is said of the registry itself; its place, where the file names one. */
  readonly server: Partial<Host>;
  /** Its mirrors, the one to ask first first. */
  readonly hosts: readonly HostEntry[];
  /** Keys that mean nothing here. */
  readonly ignored: readonly string[];
}

const Strings = Type.Array(Type.String());
const OneOrMore = Type.Union([Type.String(), Strings]);

/** A key of the file: its type, and how that is called. */
const key = <T extends TSchema>(schema: T, want: string) => ({ schema, want });

const KEYS = {
  capabilities: key(
    Type.Array(Type.RegExp(/^(pull|resolve|push)$/i)),
    'a list of "pull", "resolve" and "push"',
  ),
  ca: key(OneOrMore, "the path of a PEM file, or a list of them"),
  client: key(
    Type.Union([Type.String(), Type.Array(Type.Union([Type.String(), Strings]))]),
    'the path of a PEM file with certificate and key, or [["CERT", "KEY"]]',
  ),
  skip_verify: key(Type.Boolean(), "true or false"),
  header: key(Type.Record(Type.String(), OneOrMore), 'names with texts: x-name = "text"'),
  override_path: key(Type.Boolean(), "true or false"),
  proxy: key(Type.String(), "http://HOST:PORT"),
} as const;

type Table = { -readonly [Name in keyof typeof KEYS]?: Static<(typeof KEYS)[Name]["schema"]> };

/** containerd's own, which has no counterpart here: hosts that don't answer are passed over anyway. */
const UNUSED = new Set(["dial_timeout"]);
const MAX_HOSTS = 100;

/**
 * Reads the text of `path`, whose directory is what paths in it are relative to.
 *
 * @throws {Failure} `usage`, which names the file and the key
 */
export function parseHostsFile(text: string, path: string): HostsFile {
  let content: Record<string, unknown>;
  try {
    content = Bun.TOML.parse(text) as Record<string, unknown>;
  } catch (cause) {
    const reason = oneLine(cause instanceof Error ? cause.message : String(cause)).slice(0, 200);
    throw new Failure("usage", `${JSON.stringify(path)} isn't TOML: ${reason}`, { cause });
  }
  const { server, host, ...fields } = content;
  const file = new Reader(path);
  if (server !== undefined && typeof server !== "string") {
    throw file.refuse("server", "the URL of the registry");
  }
  if (host !== undefined && !isTable(host)) throw file.refuse("host", 'tables: [host."URL"]');
  const hosts = Object.entries(host ?? {});
  if (hosts.length > MAX_HOSTS) throw file.refuse("host", `at most ${MAX_HOSTS} of them`);
  const own = file.table(fields, "");
  return {
    server: {
      ...file.settings(own, ""),
      ...(server && file.place(server, own.override_path ?? false, "server")),
    },
    hosts: hosts.map(([url, table]) => {
      const where = `host.${JSON.stringify(url)}`;
      if (!isTable(table)) throw file.refuse(where, "a table");
      const read = file.table(table, `${where}.`);
      const place = file.place(url, read.override_path ?? false, where);
      return {
        host: { ...file.settings(read, `${where}.`), ...place },
        pull: can(read, "pull"),
        resolve: can(read, "resolve"),
      };
    }),
    ignored: file.ignored,
  };
}

/** A host that isn't said to be able to do anything in particular can do everything. */
function can({ capabilities = [] }: Table, what: string): boolean {
  return capabilities.length === 0 || capabilities.some((name) => name.toLowerCase() === what);
}

function isTable(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

class Reader {
  readonly ignored: string[] = [];
  constructor(readonly path: string) {}

  refuse(key: string, want: string): Failure {
    return new Failure("usage", `${JSON.stringify(this.path)}: ${oneLine(key)}: want ${want}`);
  }

  /** The known keys of a table, which have the types that they should. */
  table(values: Readonly<Record<string, unknown>>, where: string): Table {
    const known: Record<string, unknown> = {};
    for (const [name, value] of Object.entries(values)) {
      const field = Object.hasOwn(KEYS, name) ? KEYS[name as keyof typeof KEYS] : undefined;
      if (field) {
        if (!Value.Check(field.schema, value)) throw this.refuse(where + name, field.want);
        known[name] = value;
      } else if (!UNUSED.has(name)) {
        this.ignored.push(oneLine(where + name));
      }
    }
    return known as Table;
  }

  /** The host and path that `url` names; https where it doesn't say. */
  place(url: string, overridesPath: boolean, where: string) {
    const place = parsePlace(url, overridesPath);
    if (!place) throw this.refuse(where, WANTED_URL);
    return place;
  }

  /** What a host has to be told. */
  settings(table: Table, where: string): Partial<Host> {
    const { ca, skip_verify: skipVerify, header, proxy } = table;
    const client = this.#client(table.client, `${where}client`);
    const tls = {
      ...(ca !== undefined && { ca: [ca].flat().map((path) => this.#absolute(path)) }),
      ...(client && { client }),
      ...(skipVerify !== undefined && { skipVerify }),
    };
    return {
      ...(Object.keys(tls).length > 0 && { tls }),
      ...(header && { headers: this.#headers(header, `${where}header`) }),
      ...(proxy !== undefined && { proxy: this.#proxy(proxy, `${where}proxy`) }),
    };
  }

  /** The first pair: fetch can't choose between several. */
  #client(client: Table["client"], where: string): ClientCertificate | undefined {
    const first = typeof client === "string" ? client : client?.[0];
    if (first === undefined) return undefined;
    const [cert, key] = [first].flat();
    if (!cert) throw this.refuse(where, KEYS.client.want);
    return { cert: this.#absolute(cert), key: this.#absolute(key || cert) };
  }

  #headers(header: NonNullable<Table["header"]>, where: string): Record<string, string> {
    return Object.fromEntries(
      Object.entries(header).map(([name, values]) => {
        const value = [values].flat().join(", ");
        if (!/^[\w!#$%&'*+.^`|~-]{1,100}$/.test(name) || RESERVED.has(name.toLowerCase())) {
          throw this.refuse(`${where}.${JSON.stringify(name)}`, "the name of a header of your own");
        }
        if (!/^[\t -~]*$/.test(value)) throw this.refuse(`${where}.${name}`, "plain text");
        return [name.toLowerCase(), value];
      }),
    );
  }

  #proxy(proxy: string, where: string) {
    return parseProxy(proxy, `${JSON.stringify(this.path)}: ${where}`);
  }

  #absolute(path: string): string {
    return resolve(this.path, "..", path);
  }
}

/** What describes the message itself. */
const RESERVED = new Set(
  "host connection content-length transfer-encoding accept-encoding upgrade range".split(" "),
);

/** How `parsePlace` wants it. */
export const WANTED_URL = "http(s)://HOST[:PORT][/PATH], without user and password";

/**
 * The host, and the path of its API, that a URL means; undefined where it isn't one. `/v2` is added
 * to the path, unless it `overridesPath`.
 */
export function parsePlace(
  text: string,
  overridesPath: boolean,
): Pick<Host, "registry" | "origin" | "path"> | undefined {
  const url = URL.parse(/^https?:\/\//i.test(text) ? text : `https://${text}`);
  if (!url?.hostname || url.username || url.password || url.search || url.hash) return undefined;
  const path = url.pathname.replace(/\/+$/, "");
  const registry = registryOf(url.host);
  return {
    registry,
    origin: registry === DEFAULT_REGISTRY ? resolveHost(registry).origin : url.origin,
    path: overridesPath || path.endsWith("/v2") ? path : `${path}/v2`,
  };
}
