/** Redirects, followed by hand so that credentials stay where they belong. */
import { Failure } from "../lib/failure.ts";
import { discard, type HttpRequest, type Send } from "./http.ts";
import type { HostList } from "./options.ts";
import { resolveTarget } from "./target.ts";

const MAX_REDIRECTS = 5;

/** All that another host may learn of a request. */
const PUBLIC_HEADERS = new Set(["accept", "accept-encoding", "content-type", "range"]);

/**
 * Follows redirects of `send`.
 *
 * @throws {Failure} `content` for one that must not be followed, or for more than five
 */
export function followRedirects(send: Send, plainHttp?: HostList): Send {
  return async (request) => {
    let current = request;
    for (let followed = 0; ; followed++) {
      const answer = await send(current);
      const location = answer.headers.get("location");
      if (!isRedirect(answer.status, request.method) || location === null) return answer;
      await discard(answer);
      if (followed === MAX_REDIRECTS) {
        throw new Failure(
          "content",
          `${request.url.host} redirects more than ${MAX_REDIRECTS} times: is it a registry?`,
        );
      }
      const target = resolveTarget("redirect", location, answer.url, plainHttp);
      if (current.method === "POST" && target.origin !== answer.url.origin) {
        // The body may be what buys a token.
        throw new Failure("content", `${answer.url.host} redirects a POST to ${target.host}`);
      }
      current = redirected(current, target);
    }
  };
}

/** 301 to 303 would turn other methods into GET: then they are an answer that nobody expects. */
function isRedirect(status: number, method: HttpRequest["method"]): boolean {
  if (status === 307 || status === 308) return true;
  return (status === 301 || status === 302 || status === 303) && /^(GET|HEAD)$/.test(method);
}

function redirected(request: HttpRequest, url: URL): HttpRequest {
  if (url.origin === request.url.origin) return { ...request, url };
  const headers = Object.entries(request.headers ?? {}).filter(([name]) =>
    PUBLIC_HEADERS.has(name),
  );
  return { ...request, url, headers: Object.fromEntries(headers) };
}
