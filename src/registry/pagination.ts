/** Lists that come in pages: distribution-spec, "Listing Tags", RFC 8288 for `Link`. */
import { Failure } from "../lib/failure.ts";
import { type Answer, readJsonObject } from "./http.ts";
import type { Operation, Transport } from "./transport.ts";

/** Bytes of one page. */
const MAX_PAGE_SIZE = 16 * 1024 * 1024;
/** Of one list: with the usual 1000 entries a page, more than anybody has. */
const MAX_PAGES = 10_000;
/** Filters may leave pages empty, but not for ever. */
const MAX_EMPTY_PAGES = 100;

export interface Page<T> {
  readonly entries: readonly T[];
  readonly answer: Answer;
}

/**
 * The pages of a list, from `operation` on along the answers' `Link`. `read` takes the entries out
 * of a page's JSON, or gives undefined where it is no page of this list.
 *
 * @throws {Failure} `content`: a page or its link is malformed, or leads elsewhere or in circles
 */
export async function* readPages<T>(
  transport: Transport,
  operation: Operation,
  read: (json: Record<string, unknown>) => readonly T[] | undefined,
): AsyncGenerator<Page<T>> {
  const seen = new Set<string>();
  let empty = 0;
  for (let url: URL | undefined = operation.url; url; ) {
    const fail = (reason: string) =>
      new Failure("content", `${operation.what}: ${operation.url.host} ${reason}`);
    if (seen.has(url.href)) throw fail("links its pages in a circle");
    if (seen.size === MAX_PAGES) throw fail(`sends more than ${MAX_PAGES} pages`);
    seen.add(url.href);

    const request: Operation = { ...operation, url, bodyLimit: MAX_PAGE_SIZE };
    const answer: Answer = await transport.request(request, 200);
    const entries = read(await readJsonObject(answer));
    if (!entries) throw fail("sent a page that isn't one of this list");
    empty = entries.length === 0 ? empty + 1 : 0;
    if (empty === MAX_EMPTY_PAGES) throw fail(`sends ${MAX_EMPTY_PAGES} empty pages in a row`);
    yield { entries, answer };

    const target = parseNextLink(answer.headers.get("link"));
    url = target === undefined ? undefined : nextPage(target, url);
    if (target !== undefined && !url) throw fail("links to a next page on another host");
  }
}

/** The URL of the next page on our own origin, or undefined where it is on another host. */
function nextPage(target: string, current: URL): URL | undefined {
  const next = URL.parse(target, current.href);
  if (next?.host !== current.host || !/^https?:$/.test(next.protocol)) return undefined;
  // Behind a TLS proxy, registries think they are reached by http.
  return new URL(`${next.pathname}${next.search}`, current.origin);
}

const LINK = /<([^<>]*)>((?:\s*;\s*[a-z*]+\s*=\s*(?:"[^"]*"|[^",;\s]*))*)/gi;

/** The target of the `rel="next"` among a header's links. */
export function parseNextLink(header: string | null): string | undefined {
  if (!header || header.length > 16 * 1024) return undefined;
  // Long runs of spaces would make the pattern slow.
  for (const [, target, parameters = ""] of header.replace(/\s+/g, " ").matchAll(LINK)) {
    if (/;\s*rel\s*=\s*(?:next(?=[\s;]|$)|"(?:[^"]*\s)?next(?:\s[^"]*)?")/i.test(parameters)) {
      return target;
    }
  }
  return undefined;
}

/** `value` if it is a list of strings that `isEntry` accepts; Go's tools write an empty one as null. */
export function readStrings(
  value: unknown,
  isEntry: (text: string) => boolean,
): string[] | undefined {
  if (value === null) return [];
  if (!Array.isArray(value)) return undefined;
  const isList = value.every((entry) => typeof entry === "string" && isEntry(entry));
  return isList ? (value as string[]) : undefined;
}
