/** From a request's method and path to what it asks for: distribution-spec, "Endpoints". */
import { isRepositoryName } from "../oci/reference.ts";

export type Route =
  | { readonly resource: "base" }
  | { readonly resource: "catalog" }
  | { readonly resource: "blob"; readonly repository: string; readonly digest: string }
  | { readonly resource: "manifest"; readonly repository: string; readonly reference: string }
  | { readonly resource: "uploads"; readonly repository: string }
  | { readonly resource: "upload"; readonly repository: string; readonly id: string }
  | { readonly resource: "tags"; readonly repository: string }
  | { readonly resource: "referrers"; readonly repository: string; readonly digest: string };

export type RouteProblem =
  | { readonly problem: "not-found" }
  | { readonly problem: "invalid-name"; readonly name: string }
  | { readonly problem: "method"; readonly allowed: readonly string[] };

const allowed: Record<Route["resource"], readonly string[]> = {
  base: ["GET", "HEAD"],
  catalog: ["GET", "HEAD"],
  blob: ["GET", "HEAD", "DELETE"],
  manifest: ["GET", "HEAD", "PUT", "DELETE"],
  uploads: ["POST"],
  upload: ["GET", "HEAD", "PATCH", "PUT", "DELETE"],
  tags: ["GET", "HEAD"],
  referrers: ["GET", "HEAD"],
};

/**
 * @param path the URL's path, percent-encoded
 * @returns the route, or why there is none
 */
export function parseRoute(method: string, path: string): Route | RouteProblem {
  const route = parsePath(path);
  if ("problem" in route) return route;
  if ("repository" in route && !isRepositoryName(route.repository)) {
    return { problem: "invalid-name", name: route.repository };
  }
  const methods = allowed[route.resource];
  return methods.includes(method) ? route : { problem: "method", allowed: methods };
}

function parsePath(path: string): Route | RouteProblem {
  const segments = decode(path);
  // "", "v2", …
  if (segments?.[1] !== "v2") return { problem: "not-found" };
  const rest = segments.slice(2);
  if (rest.length === 0 || (rest.length === 1 && rest[0] === "")) return { resource: "base" };
  if (rest.length === 1 && rest[0] === "_catalog") return { resource: "catalog" };

  // Read from the end: a repository may well be called library/blobs/uploads.
  const last = rest.at(-1) ?? "";
  const kind = rest.at(-2);
  const nameOf = (suffix: number) => rest.slice(0, -suffix).join("/");
  if (kind === "tags" && last === "list") return { resource: "tags", repository: nameOf(2) };
  if (kind === "manifests") {
    return { resource: "manifest", repository: nameOf(2), reference: last };
  }
  if (kind === "referrers") return { resource: "referrers", repository: nameOf(2), digest: last };
  if (kind === "uploads" && rest.at(-3) === "blobs") {
    return last === ""
      ? { resource: "uploads", repository: nameOf(3) }
      : { resource: "upload", repository: nameOf(3), id: last };
  }
  if (kind === "blobs") {
    return last === "uploads"
      ? { resource: "uploads", repository: nameOf(2) }
      : { resource: "blob", repository: nameOf(2), digest: last };
  }
  return { problem: "not-found" };
}

/**
 * The path's segments without percent-encoding. A slash that was encoded stays so: it separates
 * nothing, and no name, tag or digest has one.
 */
function decode(path: string): string[] | undefined {
  if (!path.includes("%")) return path.split("/");
  try {
    return path.split("/").map((segment) => decodeURIComponent(segment).replaceAll("/", "%2F"));
  } catch {
    return undefined;
  }
}
