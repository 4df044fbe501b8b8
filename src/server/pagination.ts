import type { PageOptions } from "../storage/store.ts";
import { RequestError } from "./errors.ts";

/**
 * The `n` and `last` of a list.
 *
 * @throws {RequestError} 400 when `n` isn't a whole number
 */
export function pageOptions(query: URLSearchParams): PageOptions {
  const n = query.get("n");
  if (n !== null && !/^[0-9]{1,15}$/.test(n)) {
    throw new RequestError(
      400,
      "UNSUPPORTED",
      `invalid n ${JSON.stringify(n.slice(0, 40))}: want a whole number of entries, 0 or more`,
    );
  }
  const last = query.get("last");
  return {
    ...(n !== null && { limit: Number(n) }),
    ...(last !== null && { last }),
  };
}

/** A `Link` header to the page after `last` (RFC 8288), relative to the host. */
export function nextLink(path: string, parameters: Record<string, string>): { link: string } {
  return { link: `<${path}?${new URLSearchParams(parameters)}>; rel="next"` };
}
