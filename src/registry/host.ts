/**
 * From a registry's name to the host that is spoken to. Mirrors will be further hosts for one
 * registry.
 */
import { Failure } from "../lib/failure.ts";
import { DEFAULT_REGISTRY, isRegistry, isRepositoryName } from "../oci/reference.ts";
import { type ClientOptions, coversHost } from "./options.ts";

type SchemeOptions = Pick<ClientOptions, "plainHttp" | "insecureSkipTlsVerify" | "caFile">;

/** A host that serves a registry's API. */
export interface Host {
  /** The name in references, which credentials belong to: `docker.io`. */
  readonly registry: string;
  /** `https://registry-1.docker.io` */
  readonly origin: string;
}

const DOCKER_HUB_API = "registry-1.docker.io";

/**
 * Loopback hosts speak plain HTTP, unless an option is about their certificates: whoever gives one
 * expects TLS. `plainHttp` comes before all.
 *
 * @throws {Failure} `usage`: not a `host[:port]`
 */
export function resolveHost(registry: string, options: SchemeOptions = {}): Host {
  if (!isRegistry(registry)) {
    throw new Failure("usage", `invalid registry ${JSON.stringify(registry)}: want host[:port]`);
  }
  if (registry === DEFAULT_REGISTRY) return { registry, origin: `https://${DOCKER_HUB_API}` };
  const { hostname } = new URL(`http://${registry}`);
  const { plainHttp, insecureSkipTlsVerify, caFile } = options;
  const expectsTls = caFile !== undefined || coversHost(insecureSkipTlsVerify, registry);
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
  return new URL(`/v2/${repository}/${path}`, host.origin);
}

/** Whether a URL's `hostname` names this machine: `localhost`, 127.0.0.0/8, `[::1]`. */
export function isLoopback(hostname: string): boolean {
  const name = hostname.replace(/\.$/, "");
  return name === "localhost" || name === "[::1]" || /^127\.\d+\.\d+\.\d+$/.test(name);
}

/**
 * Whether a URL's `hostname` means this machine or its link: loopback, unspecified, link-local, or
 * Amazon's own. Cloud metadata services, which hand out credentials, live there.
 */
export function isMachineLocal(hostname: string): boolean {
  const name = hostname.replace(/\.$/, "");
  return (
    isLoopback(name) ||
    name.endsWith(".localhost") ||
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
