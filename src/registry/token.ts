/** Bearer tokens: distribution, "Token Authentication" and "OAuth2 Token Authentication". */
import { Failure } from "../lib/failure.ts";
import { type Expiring, Renewing } from "../lib/renewing.ts";
import type { Challenge } from "./challenge.ts";
import type { Credential } from "./credentials/credential.ts";
import type { Credentials } from "./credentials/credentials.ts";
import { failureOf } from "./errors.ts";
import { type Host, isLoopback } from "./host.ts";
import {
  type Access,
  type Answer,
  discard,
  type HttpRequest,
  readJsonObject,
  type Send,
} from "./http.ts";
import { coversHost, type HostList } from "./options.ts";
import { resolveTarget } from "./target.ts";

/** What a token is asked for. */
export interface TokenRequest {
  /** The URL that was challenged. */
  readonly from: URL;
  /** The host that sends us there: its authorities vouch for its token server, too. */
  readonly host?: Host;
  readonly challenge: Challenge;
  readonly access: Access;
}

export interface TokenOptions {
  /** Retries and follows redirects, and adds no credentials. */
  readonly send: Send;
  readonly credentials: Credentials;
  readonly plainHttp?: HostList | undefined;
}

const MAX_TOKEN_BODY = 64 * 1024;
/** Seconds: what a missing `expires_in` means, and the least that servers may grant. */
const DEFAULT_LIFETIME = 60;
const MAX_LIFETIME = 24 * 60 * 60;

/** The tokens of one client: fetched once for all who wait, kept until shortly before they expire. */
export class Tokens {
  readonly #options: TokenOptions;
  readonly #tokens = new Renewing<string>();

  constructor(options: TokenOptions) {
    this.#options = options;
  }

  /**
   * A token for what `request` asks for. `refused` is one that the registry didn't accept: it isn't
   * given again.
   *
   * @throws {Failure} `unauthorized`: the token server refuses; `content`: what it or the registry
   *   sent can't be used; `network`
   */
  get(request: TokenRequest, refused?: string, signal?: AbortSignal): Promise<string> {
    const fetch = () => this.#fetch(request);
    return this.#tokens.get(keyOf(request), fetch, { refused, signal });
  }

  async #fetch(request: TokenRequest): Promise<Expiring<string>> {
    const { access } = request;
    const { send, credentials } = this.#options;
    const what = `can't get a token for ${access.registry}`;
    let { credential } = await credentials.find(access);
    let answer = await send(this.#tokenRequest(request, credential));
    if (isRefusal(answer) && credential) {
      const renewed = (await credentials.find(access, credential)).credential;
      if (renewed !== credential) {
        await discard(answer);
        credential = renewed;
        answer = await send(this.#tokenRequest(request, credential));
      }
    }
    if (answer.status !== 200) {
      const advice = () => credentials.explain(access, "unauthorized");
      const failure = await failureOf(what, answer, advice);
      // Token servers say 400 for credentials that they don't like, too.
      throw failure.kind === "network" ? failure : new Failure("unauthorized", failure.message);
    }
    const token = await readToken(answer, what);
    if (credential) credentials.accept(credential);
    return token;
  }

  #tokenRequest(
    { from, host, challenge, access }: TokenRequest,
    credential: Credential | undefined,
  ): HttpRequest {
    const realm = challenge.parameters.get("realm") ?? "";
    if (!URL.canParse(realm)) {
      throw new Failure("content", `${from.host} names no URL where it gives out tokens`);
    }
    const url = resolveTarget("token realm", realm, from, this.#options.plainHttp);
    const secret = credential?.kind === "bearer" ? undefined : credential;
    if (secret && url.protocol === "http:" && !this.#mayBePlain(url, from)) {
      throw new Failure(
        "unauthorized",
        `${from.host} wants the credentials sent to ${url.host} unencrypted; allow it with --plain-http ${url.host}`,
      );
    }
    const service = challenge.parameters.get("service");
    const common = { url, ...(host && { host }), bodyLimit: MAX_TOKEN_BODY };

    if (secret?.kind === "identity") {
      const form = new URLSearchParams({
        grant_type: "refresh_token",
        ...(service !== undefined && { service }),
        client_id: "ocireg",
        scope: access.scopes.join(" "),
        refresh_token: secret.token,
      });
      return {
        ...common,
        method: "POST",
        headers: { "content-type": "application/x-www-form-urlencoded" },
        body: new TextEncoder().encode(form.toString()),
      };
    }
    if (service !== undefined) url.searchParams.set("service", service);
    for (const scope of access.scopes) url.searchParams.append("scope", scope);
    return {
      ...common,
      method: "GET",
      ...(secret && { headers: { authorization: basicAuthorization(secret) } }),
    };
  }

  /** A host that is spoken to in plain HTTP was meant to be. */
  #mayBePlain(url: URL, from: URL): boolean {
    const isSame = url.origin === from.origin;
    return isSame || isLoopback(url.hostname) || coversHost(this.#options.plainHttp, url.host);
  }
}

/** Whatever of this differs may be answered with another token. */
function keyOf({ from, challenge, access }: TokenRequest): string {
  const { parameters } = challenge;
  return JSON.stringify([
    from.origin,
    parameters.get("realm"),
    parameters.get("service"),
    access.repository,
    ...access.scopes,
  ]);
}

function isRefusal({ status }: Answer): boolean {
  return status === 400 || status === 401 || status === 403;
}

async function readToken(answer: Answer, what: string): Promise<Expiring<string>> {
  const json = await readJsonObject(answer);
  const value = [json["token"], json["access_token"]].find((field) => field);
  if (!isTokenText(value)) {
    throw new Failure("content", `${what}: ${answer.url.host} sent no token that can be used`);
  }
  const granted = Number(json["expires_in"]);
  const lifetime = granted > 0 ? Math.min(granted, MAX_LIFETIME) : DEFAULT_LIFETIME;
  return { value, lifetime: lifetime * 1000 };
}

/** Whether `value` fits into a header as it is: it might carry a line break of its own. */
function isTokenText(value: unknown): value is string {
  return typeof value === "string" && /^[\x21-\x7e]+$/.test(value);
}

/** @throws {Failure} `usage`: the token has characters that no token has */
export function bearerAuthorization(token: string): string {
  if (!isTokenText(token)) throw new Failure("usage", "the registry token in use isn't one");
  return `Bearer ${token}`;
}

export function basicAuthorization(credential: Credential & { kind: "basic" }): string {
  const text = `${credential.username}:${credential.password}`;
  return `Basic ${Buffer.from(text, "utf8").toString("base64")}`;
}
