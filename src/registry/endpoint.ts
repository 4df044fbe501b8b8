/** Where a request about a repository goes, and on whose behalf it is made. */
import type { Repository } from "../oci/reference.ts";
import { endpointUrl, type Host, repositoryAt } from "./host.ts";
import type { HttpRequest } from "./http.ts";
import { type Action, accessTo } from "./scope.ts";

/**
 * The endpoint `path` of a repository at one of its registry's hosts, to be used for `action`.
 *
 * @param mountFrom a repository that has to be readable, too
 * @throws {Failure} `usage`: not the name of a repository
 */
export function endpoint(
  host: Host,
  { repository }: Repository,
  path: string,
  action: Action,
  mountFrom?: string,
): Required<Pick<HttpRequest, "host" | "url" | "access">> {
  return {
    host,
    url: endpointUrl(host, repository, path),
    access: accessTo(
      repositoryAt(host, repository),
      action,
      mountFrom && repositoryAt(host, mountFrom).repository,
    ),
  };
}
