/** What a registry client can be told. */
import type { ClientCertificate } from "./tls.ts";

/** `true` for every host, or a list of `host` (on any port) and `host:port`. */
export type HostList = boolean | readonly string[];

export interface ClientOptions {
  /** Hosts to speak plain HTTP with. Loopback ones are, unless an option is about TLS. @default false */
  readonly plainHttp?: HostList;
  /** Hosts whose certificates are taken unseen. @default false */
  readonly insecureSkipTlsVerify?: HostList;
  /** A PEM file of certificate authorities to trust beside the usual ones. */
  readonly caFile?: string;
  /** Shown to the hosts of one registry (`host[:port]`), where they ask for a certificate. */
  readonly clientCertificate?: ClientCertificate & { readonly registry: string };
  /** Directories like containerd's `certs.d`, the first to look into first. @default the usual ones */
  readonly hostsDirectories?: readonly string[];
  /** URLs of further mirrors by registry, asked before those of a `hosts.toml`. They give content by digest. */
  readonly mirrors?: Readonly<Record<string, readonly string[]>>;
  /** Used for `credentialRegistry` alone, before any configuration file. */
  readonly username?: string;
  readonly password?: string;
  /** The registry (`host[:port]`) that `username` and `password` are meant for. */
  readonly credentialRegistry?: string;
  /** Where configuration files are looked up, and what names proxies. @default process.env */
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** Milliseconds that a credential helper may take. @default 30_000 */
  readonly helperTimeout?: number;
  /** Milliseconds until a host that has never answered is given up. @default 30_000 */
  readonly connectTimeout?: number;
  /** Milliseconds without any progress, retries included, until an operation fails. @default 300_000 */
  readonly stallTimeout?: number;
  /** Connections that fetch a model at a time, at most. @default 32 */
  readonly maxConnections?: number;
  /** Bytes a second that fetching a model may take. @default unlimited */
  readonly limitRate?: number;
  /** Hears what happens on the way: retries and the registry's warnings. */
  readonly onEvent?: (event: ClientEvent) => void;
}

export type ClientEvent =
  | {
      readonly type: "retry";
      readonly host: string;
      /** The attempt that failed, counted from 1. */
      readonly attempt: number;
      /** Milliseconds until the next one. */
      readonly delay: number;
      readonly reason: string;
    }
  | {
      readonly type: "warning";
      /** Whose `Warning` header it was (distribution-spec, "Warnings"); absent for our own. */
      readonly host?: string;
      /** Each text once. */
      readonly message: string;
    };

/** Whether `list` covers `host`, a `host[:port]`. An entry without a port covers every port. */
export function coversHost(list: HostList | undefined, host: string): boolean {
  if (list === undefined || typeof list === "boolean") return list === true;
  const name = host.replace(/:\d+$/, "");
  return list.some((entry) => entry.toLowerCase() === host || entry.toLowerCase() === name);
}
