/** How hosts prove who they are, and how we do: certificate authorities and client certificates. */
import { createPrivateKey, X509Certificate } from "node:crypto";
import { readFile } from "node:fs/promises";
import { getCACertificates } from "node:tls";
import { Failure } from "../lib/failure.ts";
import type { Host } from "./host.ts";
import { type ClientOptions, coversHost } from "./options.ts";

/** Paths of PEM files. */
export interface ClientCertificate {
  /** The certificate, with the chain above it. */
  readonly cert: string;
  readonly key: string;
}

/** What is known of one host's TLS. */
export interface HostTls {
  /** PEM files of authorities, trusted beside the usual ones. */
  readonly ca?: readonly string[];
  readonly client?: ClientCertificate;
  /** Whether its certificate is taken unseen. */
  readonly skipVerify?: boolean;
}

export type TlsOptions = Pick<
  ClientOptions,
  "insecureSkipTlsVerify" | "caFile" | "clientCertificate" | "onEvent"
>;

const CERTIFICATE = /-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g;

/**
 * The TLS settings of requests. The same settings are the same object, so that connections are
 * shared.
 */
export class TlsSettings {
  readonly #settings = new Map<string, Promise<Bun.TLSOptions>>();
  readonly #unverified = new Set<string>();

  constructor(readonly options: TlsOptions) {}

  /**
   * What fetch is to be told for `url`, asked on behalf of `host`. Where a redirect leads, the
   * host's authorities are trusted too; its client certificate and exemptions stay its own.
   *
   * @throws {Failure} `usage`: a file can't be read or isn't what it should be
   */
  async of(url: URL, host?: Host): Promise<Bun.TLSOptions | undefined> {
    if (url.protocol !== "https:") return undefined;
    const { caFile, clientCertificate, insecureSkipTlsVerify } = this.options;
    const own = host?.origin === url.origin ? host : undefined;
    const skipVerify = own?.tls?.skipVerify || coversHost(insecureSkipTlsVerify, url.host);
    if (skipVerify) this.#warn(url.host);
    const ca = [...(caFile === undefined ? [] : [caFile]), ...(host?.tls?.ca ?? [])];
    const given = own && own.registry === clientCertificate?.registry && clientCertificate;
    const client = own?.tls?.client ?? (given || undefined);
    if (!skipVerify && !client && ca.length === 0) return undefined;

    const key = JSON.stringify([skipVerify, ca, client]);
    let settings = this.#settings.get(key);
    if (!settings) {
      settings = read(skipVerify, ca, client);
      this.#settings.set(key, settings);
    }
    return settings;
  }

  #warn(host: string): void {
    if (this.#unverified.has(host)) return;
    this.#unverified.add(host);
    const message = `the certificate of ${host} isn't verified: whoever is in between can read and change everything`;
    this.options.onEvent?.({ type: "warning", message });
  }
}

async function read(
  skipVerify: boolean,
  ca: readonly string[],
  client: ClientCertificate | undefined,
): Promise<Bun.TLSOptions> {
  const authorities = skipVerify ? [] : await Promise.all(ca.map(readAuthorities));
  return {
    ...(skipVerify && { rejectUnauthorized: false }),
    // `ca` replaces the usual authorities: so they are named again.
    ...(authorities.length > 0 && { ca: [...getCACertificates("default"), ...authorities] }),
    ...(client && (await readClientCertificate(client))),
  };
}

/** fetch would blame the connection for a file that isn't right: so they are looked at before. */
async function readAuthorities(path: string): Promise<string> {
  const pem = await readPem("CA file", path);
  // Bundles hold some that aren't understood everywhere: what can be used is.
  const certificates = (pem.match(CERTIFICATE) ?? []).filter(isCertificate);
  if (certificates.length === 0) throw unusable("CA file", path, "has no certificate in PEM");
  return certificates.join("\n");
}

function isCertificate(pem: string): boolean {
  try {
    return new X509Certificate(pem).subject !== undefined;
  } catch {
    return false;
  }
}

async function readClientCertificate(client: ClientCertificate) {
  const cert = await readPem("client certificate", client.cert);
  const key = await readPem("client key", client.key);
  const certificate = attempt(
    () => new X509Certificate(cert),
    "client certificate",
    client.cert,
    "has no certificate in PEM",
  );
  if (/ENCRYPTED/.test(key)) throw unusable("client key", client.key, "is encrypted: decrypt it");
  const privateKey = attempt(
    () => createPrivateKey(key),
    "client key",
    client.key,
    "has no private key in PEM",
  );
  if (!certificate.checkPrivateKey(privateKey)) {
    const reason = `isn't that of the certificate ${JSON.stringify(client.cert)}`;
    throw unusable("client key", client.key, reason);
  }
  return { cert, key };
}

async function readPem(what: string, path: string): Promise<string> {
  try {
    return await readFile(path, "utf8");
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    throw new Failure("usage", `can't read the ${what} ${JSON.stringify(path)}: ${code}`, {
      cause,
    });
  }
}

function attempt<T>(parse: () => T, what: string, path: string, reason: string): T {
  try {
    return parse();
  } catch (cause) {
    throw unusable(what, path, reason, cause);
  }
}

function unusable(what: string, path: string, reason: string, cause?: unknown): Failure {
  return new Failure("usage", `the ${what} ${JSON.stringify(path)} ${reason}`, { cause });
}
