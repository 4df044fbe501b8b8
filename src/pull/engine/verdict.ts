/** What an answer of the registry client means for the blob that a part of was asked for. */
import type { Failure } from "../../lib/failure.ts";
import type { PieceAnswer } from "../../registry/client.ts";
import type { Lane, LaneFailure } from "./lane.ts";

export type Verdict =
  /** What was asked for comes. */
  | { readonly kind: "part" }
  /** The host doesn't do parts, and all of the blob comes: that will do. */
  | { readonly kind: "whole" }
  /** Another source has to give the blob. */
  | { readonly kind: "pass"; readonly problem: LaneFailure; readonly failure?: Failure }
  /** Parts can't be had any more: the blob begins anew, in one stream. */
  | { readonly kind: "restart"; readonly problem: LaneFailure }
  /** Nothing came this time. */
  | { readonly kind: "problem"; readonly problem: LaneFailure };

/** Judges by what is known of the blob; changes nothing. */
export function judge({ download, part, source }: Lane, answer: PieceAnswer): Verdict {
  const isAll = part.start === 0 && part.end === download.blob.size;
  switch (answer.kind) {
    case "part":
      return { kind: "part" };
    case "whole": {
      if (isAll) return { kind: "part" };
      const isAlone = download.lanes.size === 1 && download.partial.written.isEmpty;
      if (isAlone && part.start === 0) return { kind: "whole" };
      // Others may do parts: only the registry decides that there are none.
      if (source.isMirror) return { kind: "pass", problem: { reason: "it sends no parts" } };
      return { kind: "restart", problem: { reason: "it has stopped sending parts", status: 200 } };
    }
    case "unusable": {
      const { failure } = answer;
      const problem = { reason: failure.message, status: 206 };
      return source.isMirror || download.isStream || isAll
        ? { kind: "pass", problem, failure }
        : { kind: "restart", problem };
    }
    case "refused": {
      const { failure, attempts, retryAfter, status } = answer;
      const problem = { reason: failure.message, failure, attempts, retryAfter, status };
      // There is another host to ask, and nothing to hold against this one.
      return source.isMirror && attempts === 1
        ? { kind: "pass", problem, failure }
        : { kind: "problem", problem };
    }
  }
}
