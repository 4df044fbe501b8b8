/** The head of an HTTP/1.1 response, read strictly: RFC 9112. */

export interface ResponseHead {
  readonly status: number;
  /** Names in lower case; of a name that comes twice, both values, joined by a comma. */
  readonly headers: ReadonlyMap<string, string>;
  /** Bytes of the input that the head took. */
  readonly length: number;
}

/** Bytes that a head may have. */
export const MAX_HEAD = 128 * 1024;

const END = Buffer.from("\r\n\r\n");

const NAME = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;
const CONTROL = /[^\t\x20-\x7e\x80-\xff]/;

/**
 * The head at the beginning of `input`; undefined when its end isn't there yet.
 *
 * @throws {SyntaxError} when it can't be a response
 */
export function parseResponseHead(input: Buffer): ResponseHead | undefined {
  const end = input.subarray(0, MAX_HEAD).indexOf(END);
  if (end < 0) {
    if (input.byteLength >= MAX_HEAD) throw new SyntaxError("its head has no end");
    const start = input.toString("latin1", 0, 5);
    if (!"HTTP/".startsWith(start.slice(0, 5))) throw new SyntaxError("what it sent isn't HTTP");
    return undefined;
  }
  const [statusLine = "", ...lines] = input.toString("latin1", 0, end).split("\r\n");
  const status = /^HTTP\/1\.[01] (\d{3})(?: |$)/.exec(statusLine)?.[1];
  if (status === undefined) throw new SyntaxError("what it sent isn't HTTP");
  const headers = new Map<string, string>();
  for (const line of lines) {
    const colon = line.indexOf(":");
    const key = line.slice(0, Math.max(0, colon)).toLowerCase();
    const value = line.slice(colon + 1);
    if (!NAME.test(key) || CONTROL.test(value)) throw new SyntaxError("its head is malformed");
    // By a pattern, long runs of white space would take minutes to come off.
    const trimmed = value.trim();
    const before = headers.get(key);
    headers.set(key, before === undefined ? trimmed : `${before}, ${trimmed}`);
  }
  return { status: Number(status), headers, length: end + END.byteLength };
}

/** Whether the response itself is still to come: RFC 9110, 15.2. After a 101 it isn't HTTP. */
export function isInterim({ status }: ResponseHead): boolean {
  return status >= 100 && status < 200 && status !== 101;
}

/**
 * What keeps a response from being exactly the bytes from `start` up to `end` of a blob of `size`
 * bytes: RFC 9110, 14.4 and 15.3.7. Undefined when nothing does.
 */
export function partProblem(
  { status, headers }: ResponseHead,
  {
    start,
    end,
    size,
    validator,
  }: { start: number; end: number; size: number; validator?: string | undefined },
): string | undefined {
  if (status !== 206) return `it answered ${status}`;
  const range = headers.get("content-range") ?? "";
  const wanted = `bytes ${start}-${end - 1}`;
  if (range !== `${wanted}/${size}` && range !== `${wanted}/*`)
    return "it sent other bytes than asked for";
  if (headers.get("content-length") !== String(end - start))
    return "it didn't say how much it sends";
  if (headers.has("transfer-encoding")) return "it sent the part in an encoding";
  if ((headers.get("content-encoding") ?? "identity") !== "identity") {
    return "it sent the part in an encoding";
  }
  if (validator !== undefined && headers.get("etag") !== validator)
    return "the content has changed";
  return undefined;
}
