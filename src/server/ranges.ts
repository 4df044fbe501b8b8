/** Byte ranges and validators: RFC 9110, sections 13 and 14. */

/** Bytes from `start` up to, but without, `end`. */
export interface ByteRange {
  readonly start: number;
  readonly end: number;
}

/**
 * Reads a `Range` header for content of `size` bytes.
 *
 * @returns the range; `unsatisfiable`; or undefined to send everything, as for a unit or form that
 * isn't known and for several ranges, which a server may ignore (RFC 9110, 14.2)
 */
export function parseRange(
  header: string | null,
  size: number,
): ByteRange | "unsatisfiable" | undefined {
  const match = /^bytes=\s*(\d*)-(\d*)\s*$/i.exec(header ?? "");
  if (!match || (match[1] === "" && match[2] === "")) return undefined;
  const [, first = "", last = ""] = match;
  if (first === "") {
    const length = Math.min(Number(last), size);
    return length === 0 ? "unsatisfiable" : { start: size - length, end: size };
  }
  const start = Number(first);
  // A range that ends before it starts is invalid; RFC 9110, 14.2 lets a server reject it.
  if (start >= size || (last !== "" && Number(last) < start)) return "unsatisfiable";
  return { start, end: last === "" ? size : Math.min(Number(last) + 1, size) };
}

/** Whether `If-None-Match` names the ETag: weakly compared, as for GET and HEAD. */
export function noneMatch(header: string | null, etag: string): boolean {
  if (header === null) return false;
  return header
    .split(",")
    .map((tag) => tag.trim().replace(/^W\//, ""))
    .some((tag) => tag === "*" || tag === etag);
}

/**
 * Whether `If-Range` lets the range apply. A date never does: content by digest has no use for it.
 */
export function rangeApplies(header: string | null, etag: string): boolean {
  return header === null || header.trim() === etag;
}

/** Reads a chunk's `Content-Range`, `<first>-<last>`, both inclusive (distribution-spec). */
export function parseContentRange(header: string): ByteRange | undefined {
  const match = /^([0-9]{1,16})-([0-9]{1,16})$/.exec(header);
  if (!match) return undefined;
  const start = Number(match[1]);
  const end = Number(match[2]) + 1;
  return end > start && Number.isSafeInteger(end) ? { start, end } : undefined;
}
