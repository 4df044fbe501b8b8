/** What can go wrong below HTTP, in words, and whether trying again may help. */

import { isLoopback } from "./host.ts";
import type { ForwardProxy } from "./proxy.ts";

/** OpenSSL's and Bun's codes for a certificate that isn't accepted. */
const CERTIFICATE =
  /CERT(?!_REQUIRED)|SELF_SIGNED|UNABLE_TO_VERIFY|UNABLE_TO_GET_ISSUER|ALTNAME|HOSTNAME_MISM/;

const UNTRUSTED = "give its authority with --ca FILE, or --insecure-skip-tls-verify";

/** What is wrong with a certificate, and what can be done. Some proxies put theirs in its place. */
function certificateReason(code: string, proxy: ForwardProxy | undefined): string {
  const how = proxy ? `${code}, by way of ${describe(proxy)}` : code;
  if (/ALTNAME|HOSTNAME_MISM/.test(code)) {
    return `its certificate is for another name (${how}): check the name, or give --insecure-skip-tls-verify`;
  }
  if (/EXPIRED|NOT_YET_VALID/.test(code)) {
    return `its certificate isn't valid now (${how}): check the clock here, and the certificate there`;
  }
  return `its certificate isn't trusted (${how}): ${UNTRUSTED}`;
}

const REASONS: Readonly<Record<string, string>> = {
  ECONNREFUSED: "the connection was refused",
  ConnectionRefused: "the connection was refused",
  ECONNRESET: "the connection was closed unexpectedly",
  ConnectionClosed: "the connection was closed unexpectedly",
  EPIPE: "the connection was closed unexpectedly",
  ENOTFOUND: "there is no host of this name",
  EAI_AGAIN: "its name can't be looked up now",
  ETIMEDOUT: "the connection timed out",
  EHOSTUNREACH: "there is no route to it",
  ENETUNREACH: "there is no route to it",
  EPROTO:
    "the TLS handshake failed; if it speaks plain HTTP, use --plain-http; if it asks for a client certificate, give --cert and --key",
  Malformed_HTTP_Response: "what it sent isn't HTTP",
};

/** What a host that expects TLS does with a plain request: it closes, or answers in TLS. */
const LIKE_TLS = new Set(["ECONNRESET", "ConnectionClosed", "EPIPE", "Malformed_HTTP_Response"]);

/** The proxy's own fault, where there is one: nothing else is looked up or connected to from here. */
const BEFORE_CONNECTION = new Set([
  ...["ECONNREFUSED", "ConnectionRefused", "ENOTFOUND", "EAI_AGAIN"],
  ...["ETIMEDOUT", "EHOSTUNREACH", "ENETUNREACH"],
]);

/** Bun's code for a proxy that answers CONNECT with an error, which its message tells. */
const TUNNEL_REFUSED = "ERR_PROXY_TUNNEL";

/** Another attempt would meet the same. */
const PERMANENT = new Set(["EPROTO", "Malformed_HTTP_Response"]);

/** A request that got no whole answer. Its message names the host and never the query. */
export class ConnectionError extends Error {
  override readonly name = "ConnectionError";

  private constructor(
    readonly url: URL,
    /** `the connection was refused` */
    readonly reason: string,
    readonly transient: boolean,
    { advice = "", ...options }: ErrorOptions & { advice?: string } = {},
  ) {
    super(`${url.host}: ${reason}${advice && `; ${advice}`}`, options);
  }

  static stalled(url: URL, proxy?: ForwardProxy): ConnectionError {
    const reason = `nothing moved for too long${proxy ? ` by way of ${describe(proxy)}` : ""}`;
    return new ConnectionError(url, reason, true);
  }

  static tooSlow(url: URL, proxy?: ForwardProxy): ConnectionError {
    const reason = `what it sends comes too slowly${proxy ? ` by way of ${describe(proxy)}` : ""}`;
    return new ConnectionError(url, reason, true);
  }

  /** The proxy answered with `status` instead of the host. */
  static refusedByProxy(
    url: URL,
    proxy: ForwardProxy,
    status: number,
    cause?: unknown,
  ): ConnectionError {
    const it = describe(proxy);
    if (status === 407) {
      const reason = proxy.hasCredentials
        ? `${it} doesn't accept the user and password that ${proxy.source} gives`
        : `${it} wants a user and a password: put them into ${proxy.source} as http://USER:PASSWORD@HOST:PORT`;
      return new ConnectionError(url, reason, false, { cause });
    }
    // That it couldn't get there may change; that it won't go there doesn't.
    if (status >= 500) {
      return new ConnectionError(url, `${it} can't reach it (${status})`, true, { cause });
    }
    const reason = `${it} refuses to connect to it (${status}): allow it there, or name it in NO_PROXY`;
    return new ConnectionError(url, reason, false, { cause });
  }

  static from(url: URL, cause: unknown, { first, proxy }: Circumstances): ConnectionError {
    const code = codeOf(cause);
    if (proxy && code === TUNNEL_REFUSED) {
      const status = Number(/: (\d{3})\b/.exec(String(cause))?.[1] ?? 0);
      return ConnectionError.refusedByProxy(url, proxy, status, cause);
    }
    if (CERTIFICATE.test(code)) {
      return new ConnectionError(url, certificateReason(code, proxy), false, { cause });
    }
    const reason = REASONS[code] ?? `the request failed (${code})`;
    if (proxy) {
      const blamed = BEFORE_CONNECTION.has(code)
        ? `${describe(proxy)} can't be reached: ${reason}`
        : `${reason} (by way of ${describe(proxy)})`;
      return new ConnectionError(url, blamed, !PERMANENT.has(code), { cause });
    }
    const advice = first && url.protocol === "http:" && LIKE_TLS.has(code) ? tlsAdvice(url) : "";
    return new ConnectionError(url, reason, !PERMANENT.has(code), { cause, advice });
  }
}

interface Circumstances {
  /** Whether the host had answered nothing yet, to a request that has no body. */
  readonly first: boolean;
  readonly proxy?: ForwardProxy | undefined;
}

function describe({ name, source }: ForwardProxy): string {
  return `the proxy ${name} (${source})`;
}

function tlsAdvice({ hostname }: URL): string {
  const remedy = isLoopback(hostname)
    ? "give --ca FILE or --insecure-skip-tls-verify"
    : "leave --plain-http out";
  return `if it speaks TLS, ${remedy}`;
}

function codeOf(error: unknown): string {
  if (typeof error === "object" && error !== null && "code" in error) return String(error.code);
  return error instanceof Error ? error.name : "unknown";
}
