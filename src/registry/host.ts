/** From a registry's name to the host that is spoken to, and from there to its URLs. */
import { Failure } from "../lib/failure.ts";
import {
  DEFAULT_REGISTRY,
  isRegistry,
  isRepositoryName,
  type Repository,
} from "../oci/reference.ts";
import { type ClientOptions, coversHost } from "./options.ts";
import type { ForwardProxy } from "./proxy.ts";
import type { HostTls } from "./tls.ts";

type SchemeOptions = Pick<
  ClientOptions,
  "plainHttp" | "insecureSkipTlsVerify" | "caFile" | "clientCertificate"
>;

/** A host that serves a registry's API. */
export interface Host {
  /** The name that credentials belong to: `docker.io`. */
  readonly registry: string;
  /** `https://registry-1.docker.io` */
  readonly origin: string;
  /** Where its API begins, without a slash at the end. @default "/v2" */
  readonly path?: string;
  /** The registry that it stands in for, which a mirror of several has to be told. */
  readonly namespace?: string;
  /** Sent with each request to this origin, and nowhere else. Names in lower case. */
  readonly headers?: Readonly<Record<string, string>>;
  readonly tls?: HostTls;
  /** Used whatever the environment says. */
  readonly proxy?: ForwardProxy;
}

const API_PATH = "/v2";
const DOCKER_HUB_API = "registry-1.docker.io";
const DOCKER_HUB_NAMES = new Set([DEFAULT_REGISTRY, DOCKER_HUB_API, "index.docker.io"]);

/** The registry that a host in a URL belongs to: that of `registry-1.docker.io` is `docker.io`. */
export function registryOf(host: string): string {
  return DOCKER_HUB_NAMES.has(host) ? DEFAULT_REGISTRY : host;
}

/**
 * Loopback hosts speak plain HTTP, unless an option or `tls` is about their certificates: whoever
 * gives one expects TLS. `plainHttp` comes before all.
 *
 * @throws {Failure} `usage`: not a `host[:port]`
 */
export function resolveHost(
  registry: string,
  options: SchemeOptions = {},
  tls: HostTls = {},
): Host {
  if (!isRegistry(registry)) {
    throw new Failure("usage", `invalid registry ${JSON.stringify(registry)}: want host[:port]`);
  }
  if (registry === DEFAULT_REGISTRY) return { registry, origin: `https://${DOCKER_HUB_API}` };
  const { hostname } = new URL(`http://${registry}`);
  const { plainHttp, insecureSkipTlsVerify, caFile, clientCertificate } = options;
  const expectsTls =
    caFile !== undefined ||
    clientCertificate?.registry === registry ||
    Object.keys(tls).length > 0 ||
    coversHost(insecureSkipTlsVerify, registry);
  const isPlain = coversHost(plainHttp, registry) || (isLoopback(hostname) && !expectsTls);
  const scheme = isPlain ? "http" : "https";
  return { registry, origin: new URL(`${scheme}://${registry}`).origin };
}

/**
 * The URL of `path` in a repository's API: `endpointUrl(host, "a/b", "tags/list")`. The caller
 * vouches for the path.
 *
 * @throws {Failure} `usage`: not the name of a repository
 */
export function endpointUrl(host: Host, repository: string, path: string): URL {
  if (!isRepositoryName(repository)) {
    throw new Failure("usage", `invalid repository ${JSON.stringify(repository)}`);
  }
  return apiUrl(host, `${repository}/${path}`);
}

/** The URL of `path` in a host's API: `apiUrl(host, "_catalog")`. */
export function apiUrl(host: Host, path: string): URL {
  const url = new URL(`${host.path ?? API_PATH}/${path}`, host.origin);
  if (host.namespace !== undefined) url.searchParams.set("ns", host.namespace);
  return url;
}

/**
 * The repository as the host itself knows it: one whose API begins within a namespace, at
 * `/v2/hub`, means `hub/user/model` by `user/model`.
 */
export function repositoryAt(host: Host, repository: string): Repository {
  const prefix = /^\/v2\/(.+)$/.exec(host.path ?? "")?.[1];
  return { registry: host.registry, repository: prefix ? `${prefix}/${repository}` : repository };
}

/** Whether a URL's `hostname` names this machine: `localhost`, 127.0.0.0/8, `[::1]`. */
export function isLoopback(hostname: string): boolean {
  const name = hostname.replace(/\.$/, "");
  return name === "localhost" || name === "[::1]" || /^127\.\d+\.\d+\.\d+$/.test(name);
}

/** Where clouds have something for their machines alone beside the link-local addresses. */
const CLOUD_LOCAL = new Set([
  // Alibaba, Azure, Oracle, Google.
  ...["100.100.100.200", "168.63.129.16", "192.0.0.192", "[fd20:ce::254]"],
  "metadata.google.internal",
]);

/** What Linux distributions call loopback in /etc/hosts. */
const LOOPBACK_NAME = /^(?:localhost[46]?|ip6-localhost|ip6-loopback)(?:\.localdomain[46]?)?$/;

/**
 * Whether a URL's `hostname` means this machine or its link: loopback, unspecified, link-local, or
 * what a cloud has there. Cloud metadata services, which hand out credentials, live there.
 */
export function isMachineLocal(hostname: string): boolean {
  const name = hostname.replace(/\.$/, "");
  return (
    isLoopback(name) ||
    name.endsWith(".localhost") ||
    LOOPBACK_NAME.test(name) ||
    CLOUD_LOCAL.has(name) ||
    /^\[::ffff:7f[0-9a-f]{2}:[0-9a-f]{1,4}\]$/.test(name) ||
    name === "0.0.0.0" ||
    name === "[::]" ||
    name === "[::ffff:0:0]" ||
    /^169\.254\.\d+\.\d+$/.test(name) ||
    /^\[::ffff:a9fe:[0-9a-f]{1,4}\]$/.test(name) ||
    /^\[fe[89ab][0-9a-f]:/.test(name) ||
    name.startsWith("[fd00:ec2::")
  );
}
