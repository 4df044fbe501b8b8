/** What tokens are asked to allow: distribution, "Token Scope Documentation". */
import type { Repository } from "../oci/reference.ts";
import type { Access } from "./http.ts";

export type Action = "pull" | "push" | "delete";

const ACTIONS: Readonly<Record<Action, string>> = {
  pull: "pull",
  push: "pull,push",
  delete: "pull,delete",
};

/** Access to a repository, and for a mount to the one that is mounted from. */
export function accessTo(
  { registry, repository }: Repository,
  action: Action,
  mountFrom?: string,
): Access {
  const scopes = [`repository:${repository}:${ACTIONS[action]}`];
  if (mountFrom !== undefined) scopes.push(`repository:${mountFrom}:pull`);
  return { registry, repository, scopes };
}

/** Access to the list of a registry's repositories. */
export function accessToCatalog(registry: string): Access {
  return { registry, scopes: ["registry:catalog:*"] };
}
