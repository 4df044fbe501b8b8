/** The hosts that a registry's content may come from: itself, and its mirrors. */
import { Failure } from "../lib/failure.ts";
import { type Host, resolveHost } from "./host.ts";
import { type FoundHosts, findHosts, usualDirectories } from "./hosts-directory.ts";
import { parsePlace, WANTED_URL } from "./hosts-file.ts";
import type { ClientOptions } from "./options.ts";

/** A host that has content of a registry. What it says of content is checked by digest. */
export interface Mirror {
  readonly host: Host;
  /** Whether it is trusted to say what a tag means. */
  readonly resolves: boolean;
}

export interface Hosts {
  /** The registry itself, or what a `hosts.toml` puts into its place. */
  readonly origin: Host;
  /** The one to ask first first. */
  readonly mirrors: readonly Mirror[];
}

/** Reads the configuration of each registry once, when it is first asked for. */
export class RegistryHosts {
  readonly #options: ClientOptions;
  readonly #directories: readonly string[];
  readonly #hosts = new Map<string, Hosts>();
  readonly #warned = new Set<string>();

  constructor(options: ClientOptions) {
    this.#options = options;
    this.#directories = options.hostsDirectories ?? usualDirectories(options.env ?? process.env);
  }

  /** @throws {Failure} `usage`: not a registry, or its configuration can't be used */
  of(registry: string): Hosts {
    let hosts = this.#hosts.get(registry);
    if (!hosts) {
      hosts = this.#read(registry);
      this.#hosts.set(registry, hosts);
    }
    return hosts;
  }

  #read(registry: string): Hosts {
    const options = this.#options;
    // Checks the name, before it becomes part of a path.
    resolveHost(registry, options);
    const isGiven = options.hostsDirectories !== undefined;
    const found = findHosts(registry, this.#directories, isGiven);
    this.#warnOf(found);
    const server: Partial<Host> = found?.server ?? {};
    const named = resolveHost(registry, options, server.tls);
    let origin = standIn(registry, { ...named, ...server });

    const mirrors: Mirror[] = (options.mirrors?.[registry] ?? []).map((url) => ({
      host: standIn(registry, this.#place(registry, url)),
      resolves: false,
    }));
    for (const { host: place, pull, resolve } of found?.hosts ?? []) {
      const host = standIn(registry, place);
      // Many files say of the registry itself what it takes to reach it.
      if (isSame(host, origin, server.origin === undefined)) origin = { ...host, ...server };
      else if (pull) mirrors.push({ host, resolves: resolve });
    }
    return { origin, mirrors };
  }

  /** A mirror by its URL. A path that holds `/v2` is where its API begins. */
  #place(registry: string, url: string): Host {
    const hasScheme = url.includes("://");
    const place = parsePlace(url, /\/v2(\/|$)/.test(url));
    if (!place) throw new Failure("usage", `a mirror of ${registry} is no URL: want ${WANTED_URL}`);
    // What is written like a registry is reached like one.
    return hasScheme ? place : { ...place, ...resolveHost(place.registry, this.#options) };
  }

  #warnOf(found: FoundHosts | undefined): void {
    if (!found || found.ignored.length === 0 || this.#warned.has(found.path)) return;
    this.#warned.add(found.path);
    const keys = found.ignored.slice(0, 5).join(", ");
    const message = `${JSON.stringify(found.path)}: ignored, as it means nothing here: ${keys}`;
    this.#options.onEvent?.({ type: "warning", message });
  }
}

/** A host with what it has to be told when it stands in for a registry of another name. */
function standIn(registry: string, host: Host): Host {
  return host.registry === registry ? host : { ...host, namespace: registry };
}

/** @param anyScheme whether http and https may be the same host: nobody said which it is */
function isSame(a: Host, b: Host, anyScheme: boolean): boolean {
  const hostOf = ({ origin }: Host) => (anyScheme ? new URL(origin).host : origin);
  const pathOf = ({ path = "/v2" }: Host) => path;
  return a.registry === b.registry && hostOf(a) === hostOf(b) && pathOf(a) === pathOf(b);
}
