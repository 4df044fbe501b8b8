/** Trying again what may go better next time. */
import { delay } from "../lib/abort.ts";
import { backoffDelay, parseRetryAfter } from "../lib/retry.ts";
import { REQUEST_STALL_TIMEOUT } from "./connection.ts";
import { ConnectionError } from "./connection-error.ts";
import { type Answer, bufferBody, discard, type HttpRequest, type Send } from "./http.ts";
import type { ClientEvent } from "./options.ts";

export interface RetryOptions {
  /** Milliseconds until a host that has never answered is given up. */
  readonly connectTimeout: number;
  /** Milliseconds until a host that did answer is given up. */
  readonly stallTimeout: number;
  readonly onEvent?: ((event: ClientEvent) => void) | undefined;
}

/** How an attempt ended. */
export type Outcome = Answer | ConnectionError;

const TRANSIENT_STATUSES = new Set([429, 500, 502, 503, 504]);

/** A plain 500 is more often a bug than a bad moment. */
const MAX_ATTEMPTS_ON_500 = 5;

/** Whether the same request may end differently later. */
export function isTransient(outcome: Outcome): boolean {
  return outcome instanceof ConnectionError
    ? outcome.transient
    : TRANSIENT_STATUSES.has(outcome.status);
}

/** Milliseconds to wait after attempt `attempt` ended so. */
export function retryDelay(attempt: number, outcome: Outcome): number {
  const asked = outcome instanceof ConnectionError ? null : outcome.headers.get("retry-after");
  return Math.max(backoffDelay(attempt), parseRetryAfter(asked) ?? 0);
}

/** The event that tells of the wait after attempt `attempt`. */
export function retryEvent(attempt: number, wait: number, outcome: Outcome): ClientEvent {
  const reason =
    outcome instanceof ConnectionError ? outcome.reason : `it answered ${outcome.status}`;
  return { type: "retry", host: outcome.url.host, attempt, delay: Math.round(wait), reason };
}

/** How `send` ended, where that is for us to judge; what else it throws goes on. */
async function attempt(send: Send, request: HttpRequest): Promise<Outcome> {
  try {
    const answer = await send(request);
    const isBuffered = request.bodyLimit !== undefined && answer.status < 300;
    return isBuffered ? await bufferBody(answer, request.bodyLimit) : answer;
  } catch (error) {
    if (error instanceof ConnectionError) return error;
    throw error;
  }
}

/**
 * Repeats `send` with growing delays, or those that `Retry-After` asks for, until it ends well or the
 * next attempt would come too late. Then the last answer is returned, or the last
 * {@link ConnectionError} thrown.
 */
export function retrying(send: Send, options: RetryOptions): Send {
  const answered = new Set<string>();
  const { connectTimeout, stallTimeout } = options;
  const firstAnswerTimeout = Math.min(connectTimeout, stallTimeout, REQUEST_STALL_TIMEOUT);

  return async (request) => {
    if (request.retry === false) return send(request);
    const started = performance.now();
    const first: HttpRequest = { ...request, answerTimeout: firstAnswerTimeout };
    for (let count = 1; ; count++) {
      const outcome = await attempt(send, answered.has(request.url.origin) ? request : first);
      const { origin } = outcome.url;
      const isError = outcome instanceof ConnectionError;
      if (!isError) answered.add(origin);

      const wait = retryDelay(count, outcome);
      const patience = answered.has(origin) ? stallTimeout : connectTimeout;
      const isTooLate = performance.now() - started + wait > patience;
      const isBug = !isError && outcome.status === 500 && count >= MAX_ATTEMPTS_ON_500;
      if (!isTransient(outcome) || isTooLate || isBug) {
        if (isError) throw outcome;
        return outcome;
      }
      if (!isError) await discard(outcome);
      options.onEvent?.(retryEvent(count, wait, outcome));
      await delay(wait, request.signal);
    }
  };
}
