/** Where an answer may send us: redirects, upload locations and token realms. */
import { Failure } from "../lib/failure.ts";
import { isMachineLocal } from "./host.ts";
import { coversHost, type HostList } from "./options.ts";

/** What a header that sends us somewhere is called in a message. */
export type TargetSource = "redirect" | "upload location" | "token realm";

/**
 * The URL that `location`, found in an answer of `from`, leads to. On the same host https stays
 * https: registries behind a TLS proxy don't know that they are reached by it.
 *
 * @throws {Failure} `content` where it must not be followed: not http(s), from https down to http,
 *   from elsewhere into this machine
 */
export function resolveTarget(
  source: TargetSource,
  location: string,
  from: URL,
  plainHttp?: HostList,
): URL {
  const refuse = (reason: string) =>
    new Failure(
      "content",
      `${from.host} sent a ${source} that isn't followed: ${reason}: ${quoteTarget(location)}`,
    );
  const to = URL.parse(location, from.href);
  if (!to) throw refuse("not a URL");
  if (to.protocol !== "https:" && to.protocol !== "http:") throw refuse("not http or https");
  if (to.host === from.host && from.protocol === "https:") to.protocol = from.protocol;
  if (from.protocol === "https:" && to.protocol === "http:" && !coversHost(plainHttp, to.host)) {
    throw refuse("it leads from https to http");
  }
  if (isMachineLocal(to.hostname) && !isMachineLocal(from.hostname)) {
    throw refuse("it leads from another host into this machine");
  }
  // fetch would make an Authorization header of them.
  to.username = "";
  to.password = "";
  to.hash = "";
  return to;
}

/** Without the query, which may hold a signature that grants access. */
function quoteTarget(location: string): string {
  const path = location.replace(/[?#].*$/s, "").replace(/\/\/[^/]*@/, "//");
  return JSON.stringify(path.slice(0, 200));
}
