import { Failure } from "../../lib/failure.ts";

/** The failure of an archive that asks for what isn't done. @param source what it is */
export function refused(source: string, reason: string, options?: ErrorOptions): Failure {
  return new Failure("content", `refused ${source}: ${reason}`, options);
}

/** The failure of an archive that isn't one, or damaged. @param source what it is */
export function malformed(source: string, reason: string, options?: ErrorOptions): Failure {
  return new Failure("content", `${source} isn't a valid tar archive: ${reason}`, options);
}

/** @param source the archive with which the artifact got too large */
export function tooLarge(source: string): Failure {
  return refused(
    source,
    "the artifact unpacks to more bytes than allowed; if you trust it, raise --max-unpacked-size",
  );
}

/** @param source what has more entries than `most` */
export function tooMany(source: string, most: number): Failure {
  return refused(
    source,
    `it has more entries than the ${most} that are allowed; if you trust it, raise --max-archive-entries`,
  );
}
