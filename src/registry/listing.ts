/** What is at a registry: distribution-spec, "Listing Tags", and the catalogue outside of it. */
import { Failure } from "../lib/failure.ts";
import { formatRepository, isRepositoryName, isTag, type Repository } from "../oci/reference.ts";
import { endpoint } from "./endpoint.ts";
import { apiUrl } from "./host.ts";
import { readPages, readStrings } from "./pagination.ts";
import { accessToCatalog } from "./scope.ts";
import type { Transport } from "./transport.ts";

export interface ListOptions {
  /** Entries to ask for in one request. @default 1000 */
  readonly pageSize?: number;
  readonly signal?: AbortSignal;
}

const PAGE_SIZE = 1000;

/** The tags of a repository, in the registry's order. */
export async function* listTags(
  transport: Transport,
  repository: Repository,
  options: ListOptions = {},
): AsyncGenerator<string> {
  const place = endpoint(transport.host(repository.registry), repository, "tags/list", "pull");
  place.url.searchParams.set("n", pageSizeOf(options));
  const pages = readPages(
    transport,
    {
      what: `can't list the tags of "${formatRepository(repository)}"`,
      method: "GET",
      ...place,
      signal: options.signal,
    },
    (json) => readStrings(json["tags"], isTag),
  );
  for await (const { entries } of pages) yield* entries;
}

/** The repositories of a registry, in its order. Many registries don't tell. */
export async function* listRepositories(
  transport: Transport,
  registry: string,
  options: ListOptions = {},
): AsyncGenerator<string> {
  const host = transport.host(registry);
  const url = apiUrl(host, "_catalog");
  url.searchParams.set("n", pageSizeOf(options));
  const pages = readPages(
    transport,
    {
      what: `can't list the repositories of "${registry}"`,
      method: "GET",
      host,
      url,
      access: accessToCatalog(host.registry),
      signal: options.signal,
    },
    (json) => readStrings(json["repositories"], isRepositoryName),
  );
  for await (const { entries } of pages) yield* entries;
}

function pageSizeOf({ pageSize = PAGE_SIZE }: ListOptions): string {
  if (!Number.isSafeInteger(pageSize) || pageSize < 1) {
    throw new Failure("usage", `invalid page size ${pageSize}: want at least 1`);
  }
  return String(pageSize);
}
