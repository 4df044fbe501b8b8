/**
 * What kind of thing went wrong, as far as a caller has to act differently:
 * - `usage`: what the user gave can't be used;
 * - `not-found`: the reference, blob, file or host's repository isn't there;
 * - `unauthorized`: no credentials, wrong ones, or ones that may not do this;
 * - `network`: a host can't be reached or stopped answering, and retries didn't mend it;
 * - `content`: bytes that don't match their digest, or that are malformed or hostile;
 * - `disk`: the local disk is full, read-only or refuses;
 * - `offline`: it isn't in the cache and the network may not be used.
 */
export type FailureKind =
  | "usage"
  | "not-found"
  | "unauthorized"
  | "network"
  | "content"
  | "disk"
  | "offline";

/**
 * A failure that was foreseen. Its message is one line for the user: what failed, on which side,
 * the quoted values, what to do next. Secrets never enter it.
 */
export class Failure extends Error {
  override readonly name = "Failure";
  constructor(
    readonly kind: FailureKind,
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}
