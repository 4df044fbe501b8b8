/** The Elysia application: one route, because repository names contain slashes. */
import { Elysia } from "elysia";
import type { Store } from "../storage/store.ts";
import { jsonResponse } from "./answer.ts";
import { errorResponse, RequestError, respond } from "./errors.ts";
import type { Exchange, Policy } from "./exchange.ts";
import { deleteBlob, getBlob } from "./handlers/blobs.ts";
import { listReferrers, listRepositories, listTags } from "./handlers/lists.ts";
import { deleteManifest, getManifest, putManifest } from "./handlers/manifests.ts";
import {
  appendChunk,
  cancelUpload,
  finishUpload,
  startUpload,
  uploadStatus,
} from "./handlers/uploads.ts";
import type { Htpasswd } from "./htpasswd.ts";
import { parseRoute, type Route, type RouteProblem } from "./routes.ts";

/**
 * Seconds without progress after which a connection is given up: the most that Bun takes. A slow
 * peer makes progress when its socket buffers have room again, which at 10 KB/s takes minutes.
 */
export const idleTimeout = 255;
/** Milliseconds between two resets of a connection's timeout. */
const rearmInterval = 1000;

/** What the request log says about one request. The answer's body may still be on its way. */
export interface RequestLogEntry {
  readonly method: string;
  /** As it came, percent-encoded, with the query. */
  readonly path: string;
  readonly status: number;
  /** Bytes of the answer's body, where they are known beforehand. */
  readonly bytes: number | undefined;
  readonly milliseconds: number;
  readonly remote: string | undefined;
  readonly user: string | undefined;
  readonly userAgent: string | undefined;
}

export interface AppOptions {
  readonly store: Store;
  readonly policy: Policy;
  readonly htpasswd: Htpasswd | undefined;
  readonly onRequest: ((entry: RequestLogEntry) => void) | undefined;
  readonly onUnexpected: (error: unknown) => void;
}

type BunServer = NonNullable<Elysia["server"]>;

export function createApp(options: AppOptions) {
  const { onRequest, onUnexpected } = options;

  async function handle(request: Request, server: BunServer | null): Promise<Response> {
    const started = performance.now();
    let user: string | undefined;
    let response: Response;
    try {
      user = await authenticate(request, options.htpasswd);
      response = await dispatch(exchangeOf(request, server, options));
    } catch (error) {
      response = errorResponse(error, onUnexpected);
    }
    response.headers.set("docker-distribution-api-version", "registry/2.0");
    response.headers.set("x-content-type-options", "nosniff");
    onRequest?.(logEntry(request, server, response, user, performance.now() - started));
    return response;
  }

  return new Elysia({ normalize: false, handler: { standardHostname: false } })
    .onError(({ error }) => errorResponse(error, onUnexpected))
    .all("*", ({ request, server }) => handle(request, server), { parse: "none" });
}

async function authenticate(
  request: Request,
  htpasswd: Htpasswd | undefined,
): Promise<string | undefined> {
  if (!htpasswd) return undefined;
  const user = await htpasswd.authenticate(request.headers.get("authorization"));
  if (user === undefined) {
    throw new RequestError(401, "UNAUTHORIZED", "authentication required", {
      "www-authenticate": 'Basic realm="ocireg", charset="UTF-8"',
    });
  }
  return user;
}

function exchangeOf(
  request: Request,
  server: BunServer | null,
  { store, policy }: AppOptions,
): Exchange {
  let rearmed: number | undefined = performance.now();
  return {
    request,
    query: new URLSearchParams(splitTarget(request.url).query),
    store,
    policy,
    progress() {
      const now = performance.now();
      if (rearmed !== undefined && now - rearmed < rearmInterval) return;
      rearmed = now;
      server?.timeout(request, idleTimeout);
    },
    pause() {
      rearmed = undefined;
      server?.timeout(request, 0);
    },
  };
}

async function dispatch(exchange: Exchange): Promise<Response> {
  const { request, policy } = exchange;
  const route = parseRoute(request.method, splitTarget(request.url).path);
  if ("problem" in route) return refuse(route);
  if (policy.readOnly && !["GET", "HEAD"].includes(request.method)) {
    throw new RequestError(405, "UNSUPPORTED", "this registry is read-only");
  }
  const deletes = request.method === "DELETE" && route.resource !== "upload";
  if (deletes && !policy.allowDelete) {
    throw new RequestError(405, "UNSUPPORTED", "deleting is switched off in this registry");
  }
  const response = await handlerOf(exchange, route);
  if (request.method !== "HEAD" || response.body === null) return response;
  return withoutBody(response);
}

function handlerOf(exchange: Exchange, route: Route): Promise<Response> {
  const { method } = exchange.request;
  switch (route.resource) {
    case "base":
      return Promise.resolve(jsonResponse({}));
    case "catalog":
      return listRepositories(exchange);
    case "tags":
      return listTags(exchange, route.repository);
    case "referrers":
      return listReferrers(exchange, route.repository, route.digest);
    case "blob":
      return method === "DELETE"
        ? deleteBlob(exchange, route.repository, route.digest)
        : getBlob(exchange, route.repository, route.digest);
    case "manifest":
      if (method === "PUT") return putManifest(exchange, route.repository, route.reference);
      if (method === "DELETE") return deleteManifest(exchange, route.repository, route.reference);
      return getManifest(exchange, route.repository, route.reference);
    case "uploads":
      return startUpload(exchange, route.repository);
    case "upload":
      if (method === "PATCH") return appendChunk(exchange, route.repository, route.id);
      if (method === "PUT") return finishUpload(exchange, route.repository, route.id);
      if (method === "DELETE") return cancelUpload(exchange, route.repository, route.id);
      return uploadStatus(exchange, route.repository, route.id);
  }
}

function refuse(problem: RouteProblem): Response {
  switch (problem.problem) {
    case "not-found":
      return respond(404, "UNSUPPORTED", "no such endpoint; the registry is under /v2/");
    case "invalid-name":
      return respond(
        400,
        "NAME_INVALID",
        `invalid repository name ${JSON.stringify(problem.name.slice(0, 300))}`,
      );
    case "method":
      return respond(405, "UNSUPPORTED", "the endpoint doesn't have this method", {
        headers: { allow: problem.allowed.join(", ") },
      });
  }
}

function withoutBody(response: Response): Response {
  return new Response(null, { status: response.status, headers: response.headers });
}

/** With an empty Host header, Bun's request has a bare path as its URL. */
function splitTarget(url: string): { path: string; query: string } {
  const authority = url.indexOf("://");
  const start = authority < 0 ? 0 : url.indexOf("/", authority + 3);
  const target = start < 0 ? "/" : url.slice(start);
  const question = target.indexOf("?");
  return question < 0
    ? { path: target, query: "" }
    : { path: target.slice(0, question), query: target.slice(question + 1) };
}

function logEntry(
  request: Request,
  server: BunServer | null,
  response: Response,
  user: string | undefined,
  milliseconds: number,
): RequestLogEntry {
  const { path, query } = splitTarget(request.url);
  const bytes = response.headers.get("content-length");
  return {
    method: request.method,
    path: query === "" ? path : `${path}?${query}`,
    status: response.status,
    bytes: bytes === null ? undefined : Number(bytes),
    milliseconds,
    remote: server?.requestIP(request)?.address,
    user,
    userAgent: request.headers.get("user-agent") ?? undefined,
  };
}
