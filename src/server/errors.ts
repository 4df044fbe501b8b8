/** The one place where a failure becomes an HTTP answer. */
import { errorCode } from "../lib/durable.ts";
import { InvalidDigestError } from "../oci/digest.ts";
import { type ErrorCode, formatErrors } from "../oci/errors.ts";
import { StorageError, UploadOffsetError } from "../storage/errors.ts";

/** A request that the server itself refuses. */
export class RequestError extends Error {
  override readonly name = "RequestError";
  constructor(
    readonly status: number,
    readonly code: ErrorCode,
    message: string,
    readonly headers: Readonly<Record<string, string>> = {},
  ) {
    super(message);
  }
}

/** The peer went away, or stopped sending, in the middle of its body. */
export class BrokenBodyError extends Error {
  override readonly name = "BrokenBodyError";
}

const statusOf: Record<ErrorCode, number> = {
  BLOB_UNKNOWN: 404,
  BLOB_UPLOAD_INVALID: 400,
  BLOB_UPLOAD_UNKNOWN: 404,
  DIGEST_INVALID: 400,
  // "MUST result in one or more MANIFEST_BLOB_UNKNOWN errors"; 404 is what registries answer.
  MANIFEST_BLOB_UNKNOWN: 404,
  MANIFEST_INVALID: 400,
  MANIFEST_UNKNOWN: 404,
  NAME_INVALID: 400,
  NAME_UNKNOWN: 404,
  SIZE_INVALID: 400,
  UNAUTHORIZED: 401,
  DENIED: 403,
  UNSUPPORTED: 405,
  TOOMANYREQUESTS: 429,
};

/**
 * @param onUnexpected is told of errors that nobody foresaw; the client learns nothing of them
 */
export function errorResponse(error: unknown, onUnexpected: (error: unknown) => void): Response {
  if (error instanceof RequestError) {
    return respond(error.status, error.code, error.message, { headers: error.headers });
  }
  if (error instanceof UploadOffsetError) {
    return respond(416, error.code, error.message);
  }
  if (error instanceof StorageError) {
    return respond(statusOf[error.code], error.code, error.message, { detail: error.detail });
  }
  if (error instanceof InvalidDigestError) return respond(400, "DIGEST_INVALID", error.message);
  if (error instanceof BrokenBodyError) {
    return respond(400, "BLOB_UPLOAD_INVALID", error.message);
  }
  onUnexpected(error);
  switch (errorCode(error)) {
    case "ENOSPC":
    case "EDQUOT":
      return respond(507, "UNKNOWN", "the registry's disk is full");
    case "EROFS":
    case "EACCES":
    case "EPERM":
      return respond(500, "UNKNOWN", "the registry can't write to its disk");
    default:
      return respond(500, "UNKNOWN", "internal error; the registry's log has more");
  }
}

/** The spec's JSON body. `UNKNOWN` is what registries say of a 5xx, which the spec has no code for. */
export function respond(
  status: number,
  code: ErrorCode | "UNKNOWN",
  message: string,
  options: { detail?: unknown; headers?: Readonly<Record<string, string>> } = {},
): Response {
  const { detail, headers } = options;
  return new Response(formatErrors([{ code, message, ...(detail !== undefined && { detail }) }]), {
    status,
    headers: { "content-type": "application/json", ...headers },
  });
}
