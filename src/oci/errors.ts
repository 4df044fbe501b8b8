/** Errors on the wire: distribution-spec, "Error Codes". */

export const ERROR_CODES = [
  "BLOB_UNKNOWN",
  "BLOB_UPLOAD_INVALID",
  "BLOB_UPLOAD_UNKNOWN",
  "DIGEST_INVALID",
  "MANIFEST_BLOB_UNKNOWN",
  "MANIFEST_INVALID",
  "MANIFEST_UNKNOWN",
  "NAME_INVALID",
  "NAME_UNKNOWN",
  "SIZE_INVALID",
  "UNAUTHORIZED",
  "DENIED",
  "UNSUPPORTED",
  "TOOMANYREQUESTS",
] as const;

export type ErrorCode = (typeof ERROR_CODES)[number];

/** One entry of an error body. Registries in the field also send codes of their own. */
export interface WireError {
  readonly code: ErrorCode | (string & {});
  readonly message?: string;
  readonly detail?: unknown;
}

/** The JSON body of a failed request. */
export function formatErrors(errors: readonly WireError[]): string {
  return JSON.stringify({ errors });
}

/**
 * The errors in a response body, or none when it isn't the spec's JSON: a body may have any format,
 * and what stands between us and the registry sends HTML.
 */
export function parseErrors(body: string): WireError[] {
  let json: unknown;
  try {
    json = JSON.parse(body);
  } catch {
    return [];
  }
  if (typeof json !== "object" || json === null || !("errors" in json)) return [];
  if (!Array.isArray(json.errors)) return [];
  return json.errors.flatMap((entry: unknown): WireError[] => {
    if (typeof entry !== "object" || entry === null) return [];
    const { code, message, detail } = entry as Record<string, unknown>;
    if (typeof code !== "string") return [];
    return [
      {
        code,
        ...(typeof message === "string" && { message }),
        ...(detail !== undefined && { detail }),
      },
    ];
  });
}
