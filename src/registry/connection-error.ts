/** What can go wrong below HTTP, in words, and whether trying again may help. */

import { isLoopback } from "./host.ts";

/** OpenSSL's and Bun's codes for a certificate that isn't accepted. */
const CERTIFICATE = /CERT|SELF_SIGNED|UNABLE_TO_VERIFY|UNABLE_TO_GET_ISSUER|ALTNAME|HOSTNAME_MISM/;

const CERTIFICATE_ADVICE = "give its authority with --ca FILE, or --insecure-skip-tls-verify";

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
  EPROTO: "the TLS handshake failed; if it speaks plain HTTP, use --plain-http",
  Malformed_HTTP_Response: "what it sent isn't HTTP",
};

/** What a host that expects TLS does with a plain request: it closes, or answers in TLS. */
const LIKE_TLS = new Set(["ECONNRESET", "ConnectionClosed", "EPIPE", "Malformed_HTTP_Response"]);

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

  static stalled(url: URL): ConnectionError {
    return new ConnectionError(url, "nothing moved for too long", true);
  }

  /** @param first whether the host had answered nothing yet, to a request that has no body */
  static from(url: URL, cause: unknown, first: boolean): ConnectionError {
    const code = codeOf(cause);
    if (CERTIFICATE.test(code)) {
      const reason = `its certificate isn't trusted (${code}): ${CERTIFICATE_ADVICE}`;
      return new ConnectionError(url, reason, false, { cause });
    }
    const reason = REASONS[code] ?? `the request failed (${code})`;
    const advice = first && url.protocol === "http:" && LIKE_TLS.has(code) ? tlsAdvice(url) : "";
    return new ConnectionError(url, reason, !PERMANENT.has(code), { cause, advice });
  }
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
