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

/**
 * The head at the beginning of `input`; undefined when its end isn't there yet.
 *
 * @throws {SyntaxError} when it can't be a response
 */
export function parseResponseHead(input: Buffer): ResponseHead | undefined {
  const end = input.indexOf(END);
  if (end < 0) {
    if (input.byteLength > MAX_HEAD) throw new SyntaxError("its head has no end");
    const start = input.toString("latin1", 0, 5);
    if (!"HTTP/".startsWith(start.slice(0, 5))) throw new SyntaxError("what it sent isn't HTTP");
    return undefined;
  }
  const [statusLine = "", ...lines] = input.toString("latin1", 0, end).split("\r\n");
  const status = /^HTTP\/1\.[01] (\d{3})(?: |$)/.exec(statusLine)?.[1];
  if (status === undefined) throw new SyntaxError("what it sent isn't HTTP");
  const headers = new Map<string, string>();
  for (const line of lines) {
    const match = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*(.*?)[ \t]*$/.exec(line);
    if (!match) throw new SyntaxError("its head is malformed");
    const [, name = "", value = ""] = match;
    const key = name.toLowerCase();
    const before = headers.get(key);
    headers.set(key, before === undefined ? value : `${before}, ${value}`);
  }
  return { status: Number(status), headers, length: end + END.byteLength };
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
