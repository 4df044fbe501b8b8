/** The chain from an operation to the wire: authenticate -> retry -> redirects -> connection. */
import type { Failure } from "../lib/failure.ts";
import type { Repository } from "../oci/reference.ts";
import { authenticating } from "./authentication.ts";
import { createConnection, REQUEST_STALL_TIMEOUT } from "./connection.ts";
import { ConnectionError } from "./connection-error.ts";
import { Credentials } from "./credentials/credentials.ts";
import { failureOf, printable } from "./errors.ts";
import { Mirrors, type Need, type Patience } from "./failover.ts";
import type { Host } from "./host.ts";
import type { Answer, HttpRequest, Send } from "./http.ts";
import type { ClientEvent, ClientOptions } from "./options.ts";
import { proxiesOf } from "./proxy.ts";
import { followRedirects } from "./redirects.ts";
import { type Hosts, RegistryHosts } from "./registry-hosts.ts";
import { type Outcome, retrying } from "./retry.ts";
import { resolveTarget, type TargetSource } from "./target.ts";
import { TlsSettings } from "./tls.ts";
import { Tokens } from "./token.ts";

const CONNECT_TIMEOUT = 30_000;
const STALL_TIMEOUT = 300_000;
const MAX_CONNECTIONS = 32;
/** Texts of warnings that are remembered, so that each is told once. */
const MAX_WARNINGS = 100;

/** A request on behalf of a repository, and what to call it when it fails. */
export interface Operation extends HttpRequest {
  /** `can't get manifest "host/repository:tag"` */
  readonly what: string;
}

/** How to ask again for what was answered once, without the chain. Holds credentials. */
export interface DirectRoute {
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly tls?: Bun.TLSOptions | undefined;
}

/** How far this client goes, in all that it does. */
export interface Limits {
  /** Milliseconds until a host that has never answered is given up. */
  readonly connectTimeout: number;
  /** Milliseconds without any progress until an operation fails. */
  readonly stallTimeout: number;
  /** Connections that fetch a model at a time, at most. */
  readonly maxConnections: number;
  /** Bytes a second that fetching a model may take. */
  readonly limitRate: number | undefined;
}

export class Transport {
  readonly limits: Limits;
  readonly #options: ClientOptions;
  readonly credentials: Credentials;
  readonly #send: Send;
  readonly #warnings = new Set<string>();
  readonly #hosts: RegistryHosts;
  readonly mirrors: Mirrors;

  constructor(options: ClientOptions) {
    this.#options = options;
    const { stallTimeout = STALL_TIMEOUT, connectTimeout = CONNECT_TIMEOUT } = options;
    const { maxConnections = MAX_CONNECTIONS, limitRate } = options;
    this.limits = { connectTimeout, stallTimeout, maxConnections, limitRate };
    this.#hosts = new RegistryHosts(options);
    this.mirrors = new Mirrors(options.onEvent);
    const tls = new TlsSettings(options);
    const { plainHttp, onEvent } = options;
    const connection = createConnection({
      tls: (url, host) => tls.of(url, host),
      proxies: proxiesOf(options.env ?? process.env),
      stallTimeout: Math.min(stallTimeout, REQUEST_STALL_TIMEOUT),
    });
    const send = retrying(followRedirects(connection, plainHttp), {
      connectTimeout,
      stallTimeout,
      onEvent,
    });
    this.credentials = new Credentials(options, send);
    const tokens = new Tokens({ send, credentials: this.credentials, plainHttp });
    this.#send = authenticating(send, this.credentials, tokens);
  }

  /** The host that is `registry` itself. @throws {Failure} `usage`: see {@link hosts} */
  host(registry: string): Host {
    return this.hosts(registry).origin;
  }

  /**
   * The hosts that content of `registry` may come from.
   *
   * @throws {Failure} `usage`: not a registry, or its configuration can't be used
   */
  hosts(registry: string): Hosts {
    return this.#hosts.of(registry);
  }

  /**
   * What `ask` gets from the first host that has it, mirrors before the registry itself.
   *
   * @throws what `ask` throws at the registry
   */
  fromAnywhere<T>(
    repository: Repository,
    need: Need,
    signal: AbortSignal | undefined,
    ask: (host: Host, patience: Patience) => Promise<T>,
  ): Promise<T> {
    const hosts = this.hosts(repository.registry);
    return this.mirrors.first(hosts, repository, { need, signal }, ask);
  }

  /** Where `location`, sent by `from`, leads. @throws {Failure} `content`: where we don't go */
  target(source: TargetSource, location: string, from: URL): URL {
    return resolveTarget(source, location, from, this.#options.plainHttp);
  }

  tell(event: ClientEvent): void {
    this.#options.onEvent?.(event);
  }

  /**
   * Makes the request and returns the answer if its status is one of `expected`.
   *
   * @throws {Failure} for any other answer, and when there is none
   */
  async request(operation: Operation, ...expected: readonly number[]): Promise<Answer> {
    const outcome = await this.attempt(operation);
    if (outcome instanceof ConnectionError || !expected.includes(outcome.status)) {
      throw await this.failure(operation, outcome);
    }
    return outcome;
  }

  /** Makes the request and returns how it ended, whatever that is. */
  async attempt(operation: HttpRequest): Promise<Outcome> {
    try {
      const answer = await this.#send(operation);
      this.#passWarnings(answer);
      return answer;
    } catch (error) {
      if (error instanceof ConnectionError) return error;
      throw error;
    }
  }

  /** The failure that `outcome` means for `operation`. */
  failure({ what, access, url }: Operation, outcome: Outcome): Promise<Failure> {
    // Credentials play no part at a host that we were redirected to.
    const isOurs = outcome.url.origin === url.origin;
    if (!access || !isOurs) return failureOf(what, outcome);
    return failureOf(what, outcome, (kind) => this.credentials.explain(access, kind));
  }

  /**
   * The way to the bytes that `answer` is about: the place that it came from in the end, with what
   * that was asked with. Undefined where the way leads over a proxy.
   */
  directRoute({ url, sent }: Answer): DirectRoute | undefined {
    if (sent.isProxied) return undefined;
    const headers = Object.entries(sent.headers).filter(([name]) => !/^(?:if-)?range$/.test(name));
    return { url: url.href, headers: Object.fromEntries(headers), tls: sent.tls };
  }

  #passWarnings(answer: Answer): void {
    const header = answer.headers.get("warning");
    if (!header) return;
    for (const [, text = ""] of header.matchAll(/299 - "((?:[^"\\]|\\.){1,1000})"/g)) {
      const message = printable(text.replace(/\\(.)/g, "$1"), 500);
      const key = `${answer.url.host} ${message}`;
      if (this.#warnings.has(key) || this.#warnings.size >= MAX_WARNINGS) continue;
      this.#warnings.add(key);
      this.tell({ type: "warning", host: answer.url.host, message });
    }
  }
}
