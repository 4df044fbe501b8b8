/** From an answer that nobody wanted to a {@link Failure} that says why. */
import { Failure, type FailureKind } from "../lib/failure.ts";
import { oneLine } from "../lib/one-line.ts";
import { parseErrors, type WireError } from "../oci/errors.ts";
import { ConnectionError } from "./connection-error.ts";
import { type Answer, readBody } from "./http.ts";

/** Error bodies are read up to here. */
const MAX_ERROR_BODY = 64 * 1024;
/** Milliseconds that they are waited for. */
const ERROR_PATIENCE = 5000;

/**
 * The failure that `outcome` means for `what` ("can't get manifest …"). `advice` is asked for what
 * to add where credentials may be what is missing.
 */
export async function failureOf(
  what: string,
  outcome: Answer | ConnectionError,
  advice?: (kind: FailureKind) => Promise<string | undefined>,
): Promise<Failure> {
  if (outcome instanceof ConnectionError) {
    return new Failure("network", `${what}: ${outcome.message}`, { cause: outcome });
  }
  const errors = await readErrors(outcome);
  const kind = kindOf(outcome.status, errors);
  const said = errors.slice(0, 3).map(formatError).join("; ");
  const answer = `${outcome.url.host} answered ${outcome.status}${said && ` ${said}`}`;
  const isHidden = kind === "unauthorized" || kind === "not-found";
  const hint = isHidden ? await advice?.(kind) : undefined;
  return new Failure(kind, `${what}: ${answer}${hint === undefined ? "" : `; ${hint}`}`);
}

/** What an answer's status means, beside errors that may say more. */
export function kindOf(status: number, errors: readonly WireError[] = []): FailureKind {
  if (status === 401 || status === 403) return "unauthorized";
  if (status === 404) return "not-found";
  if (status === 408 || status === 429 || status >= 500) return "network";
  if (errors.some(({ code }) => /^(DIGEST|SIZE|MANIFEST|BLOB_UPLOAD)_INVALID$/.test(code))) {
    return "content";
  }
  // Neither success nor an error that HTTP knows here: whatever it is, it isn't a registry.
  return status < 400 ? "content" : "usage";
}

/** The spec's errors in a body; an HTML page has none. */
async function readErrors(answer: Answer): Promise<WireError[]> {
  try {
    const body = await readBody(answer, MAX_ERROR_BODY, ERROR_PATIENCE);
    return body ? parseErrors(new TextDecoder().decode(body)) : [];
  } catch {
    // The status is known, and worth more than the story of its body.
    return [];
  }
}

function formatError({ code, message }: WireError): string {
  return message ? `${printable(code, 60)}: ${printable(message, 200)}` : printable(code, 60);
}

/** What a stranger was sent as `Authorization`, and repeats: no words, and not for logs. */
const AUTHORIZATION = /\b([Bb]asic|[Bb]earer)\s+(?=[a-z._~-]*[A-Z0-9+/=])[A-Za-z0-9._~+/=-]{8,}/g;

/**
 * A stranger's text on one line of at most `length` characters, without terminal controls and
 * credentials.
 */
export function printable(text: string, length: number): string {
  const line = oneLine(
    text
      .slice(0, 64 * 1024)
      .replace(AUTHORIZATION, "$1 ***")
      .slice(0, length * 2),
  );
  return line.length > length ? `${line.slice(0, length - 3)}...` : line;
}
