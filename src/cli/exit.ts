/** Exit codes: which kind of failure a script sees. Only this file knows them. */
import { Failure, type FailureKind } from "../lib/failure.ts";
import { InvalidDigestError } from "../oci/digest.ts";
import { InvalidReferenceError } from "../oci/reference.ts";
import { Interruption } from "./context.ts";
import { BrokenPipe } from "./output.ts";

export const EXIT_DONE = 0;
export const EXIT_UNEXPECTED = 1;
export const EXIT_USAGE = 2;

const codes: Readonly<Record<FailureKind, number>> = {
  usage: EXIT_USAGE,
  "not-found": 3,
  unauthorized: 4,
  network: 5,
  content: 6,
  disk: 7,
  offline: 8,
};

/** What a file system answers; ENOENT alone may mean something else than a path. */
const diskErrors = new Set(
  "EACCES EBUSY EDQUOT EEXIST EIO EISDIR ELOOP EMFILE ENAMETOOLONG ENFILE ENOSPC ENOTDIR ENOTEMPTY EPERM EROFS ESTALE EXDEV".split(
    " ",
  ),
);

/** The exit code for a command that ended with `error`. */
export function exitCodeOf(error: unknown): number {
  if (error instanceof BrokenPipe) return EXIT_DONE;
  if (error instanceof Interruption) return error.signal === "SIGINT" ? 130 : 143;
  if (error instanceof Failure) return codes[error.kind];
  if (error instanceof InvalidReferenceError || error instanceof InvalidDigestError) {
    return EXIT_USAGE;
  }
  return isDiskError(error) ? codes.disk : EXIT_UNEXPECTED;
}

/** Whether this kind of failure was reckoned with, so that its message says all there is to say. */
export function isForeseen(error: unknown): boolean {
  return exitCodeOf(error) !== EXIT_UNEXPECTED;
}

/** Whether the operating system refused something on the local disk. */
export function isDiskError(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  const { code, path } = error as NodeJS.ErrnoException;
  return code !== undefined && (diskErrors.has(code) || (code === "ENOENT" && path !== undefined));
}
