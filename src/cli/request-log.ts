/** The request log of `serve`: a line for each request, never with credentials. */
import { unmapped } from "../lib/address.ts";
import type { RequestLogEntry } from "../server/server.ts";
import { logger } from "./log.ts";

/** Upload sessions carry their state in the query; nobody reads more of it than this. */
const maxPathLength = 1024;
const maxUserAgentLength = 256;

/**
 * Method, path, status, bytes of the answer, time until it began, who asked, as which user:
 * `GET /v2/model/manifests/v1 200 1234 0.4ms 127.0.0.1 -`
 */
export function logRequest(entry: RequestLogEntry): void {
  logger().info("{method} {path} {status} {bytes} {milliseconds}ms {remote} {user}", {
    method: entry.method,
    path: entry.path.slice(0, maxPathLength),
    status: entry.status,
    bytes: entry.bytes ?? null,
    milliseconds: Math.round(entry.milliseconds * 10) / 10,
    remote: entry.remote === undefined ? null : unmapped(entry.remote),
    user: entry.user ?? null,
    userAgent: entry.userAgent?.slice(0, maxUserAgentLength) ?? null,
  });
}
