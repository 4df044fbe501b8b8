/** Answers a registry's challenges: the link of the chain that knows credentials. */
import { type Challenge, parseChallenges } from "./challenge.ts";
import type { Credential } from "./credentials/credential.ts";
import type { Credentials } from "./credentials/credentials.ts";
import { type Access, type Answer, discard, type HttpRequest, type Send } from "./http.ts";
import { basicAuthorization, bearerAuthorization, type Tokens } from "./token.ts";

/** With a token that turned out stale or too narrow, the third attempt is the one that counts. */
const MAX_ATTEMPTS = 3;

/** More than any registry asks for. */
const MAX_SCOPES = 8;

/** What a request is sent with. */
interface Authorization {
  /** The header's value. */
  readonly value: string;
  /** What stands in it, where no token server judges it. */
  readonly credential?: Credential;
  readonly token?: string;
}

/**
 * Sends requests that have an `access` with the authorization that their host wants. The first
 * challenge of a host is remembered, so that later requests come prepared. An answer of 401 that is
 * returned is final.
 */
export function authenticating(send: Send, credentials: Credentials, tokens: Tokens): Send {
  const challenges = new Map<string, Challenge>();
  /** The scopes to ask for where a registry wanted other ones than we thought. */
  const widened = new Map<string, Access>();

  return async (request) => {
    const { access, url } = request;
    if (!access) return send(request);
    const key = [url.origin, ...access.scopes].join(" ");
    let wanted = widened.get(key) ?? access;
    let authorization = await authorize(request, wanted, challenges.get(url.origin));
    for (let count = 1; ; count++) {
      const answer = await send(withAuthorization(request, authorization));
      const isAccepted = answer.status < 400 || answer.status === 404;
      if (authorization?.credential && isAccepted) credentials.accept(authorization.credential);
      // What a redirect leads to is no place for our credentials.
      const isOurs = answer.url.origin === url.origin;
      if (!isOurs || !isRefusal(answer, authorization) || count === MAX_ATTEMPTS) return answer;
      const challenge = answer.status === 401 ? choose(answer) : challenges.get(url.origin);
      if (!challenge) return answer;
      challenges.set(url.origin, challenge);
      const scopes = joinScopes(wanted.scopes, challenge);
      if (scopes.length > wanted.scopes.length) {
        wanted = { ...wanted, scopes };
        widened.set(key, wanted);
      }
      const refused = authorization;
      authorization = await authorize(request, wanted, challenge, refused);
      if (authorization === undefined || authorization.value === refused?.value) return answer;
      await discard(answer);
    }
  };

  async function authorize(
    { url, host, signal }: HttpRequest,
    access: Access,
    challenge: Challenge | undefined,
    refused?: Authorization,
  ): Promise<Authorization | undefined> {
    if (!challenge) return undefined;
    const { credential } = await credentials.find(access, refused?.credential);
    if (challenge.scheme === "basic") {
      if (credential?.kind !== "basic") return undefined;
      return { value: basicAuthorization(credential), credential };
    }
    if (credential?.kind === "bearer") return { value: bearerAuthorization(credential.token) };
    const token = await tokens.get(
      { from: url, ...(host && { host }), challenge, access },
      refused?.token,
      signal,
    );
    return { value: bearerAuthorization(token), token };
  }
}

/** ECR says 403 to a password that has expired. */
function isRefusal({ status }: Answer, authorization: Authorization | undefined): boolean {
  return status === 401 || (status === 403 && authorization?.credential !== undefined);
}

function withAuthorization(
  request: HttpRequest,
  authorization: Authorization | undefined,
): HttpRequest {
  if (authorization === undefined) return request;
  return { ...request, headers: { ...request.headers, authorization: authorization.value } };
}

/** Bearer where it is offered, as the narrower power; else Basic. */
function choose(answer: Answer): Challenge | undefined {
  const challenges = parseChallenges(answer.headers.get("www-authenticate"));
  return (
    challenges.find(({ scheme, parameters }) => scheme === "bearer" && parameters.has("realm")) ??
    challenges.find(({ scheme }) => scheme === "basic")
  );
}

/**
 * Our own scopes first, as some token servers read only the first; then what they don't cover. Who
 * has none asks only whether we are known, and the scope of a challenge may be an example.
 */
function joinScopes(own: readonly string[], challenge: Challenge): readonly string[] {
  if (own.length === 0) return own;
  const asked = challenge.parameters.get("scope")?.split(" ").filter(Boolean) ?? [];
  const further = asked.filter((scope) => !own.some((mine) => covers(mine, scope)));
  return [...own, ...new Set(further)].slice(0, Math.max(MAX_SCOPES, own.length));
}

/** `repository:a/b:pull,push` covers `repository:a/b:push`. */
function covers(mine: string, asked: string): boolean {
  const [subject, actions] = splitScope(mine);
  const [askedSubject, askedActions] = splitScope(asked);
  return subject === askedSubject && askedActions.every((action) => actions.includes(action));
}

function splitScope(scope: string): [subject: string, actions: string[]] {
  const colon = scope.lastIndexOf(":");
  return [scope.slice(0, colon), scope.slice(colon + 1).split(",")];
}
