/**
 * What the main thread, which decides, and the transfer threads, which move bytes, say to each
 * other. Positions are offsets in the blob, in bytes; a `job` is a blob that is being fetched, a
 * `lane` one request at a time for a part of it.
 */
import type { DirectRoute } from "../../registry/client.ts";
import type { Extent } from "./extents.ts";

export type Command =
  /** Writes of a job go to the file at `path`; one thread hashes it. */
  | {
      readonly type: "open";
      readonly job: number;
      readonly path: string;
      readonly size: number;
      /** Absent where another thread hashes. */
      readonly algorithm?: string;
      /** The file isn't ours to write. */
      readonly isReadOnly?: boolean;
    }
  /** Everything up to `position` is in the file, and may be hashed. */
  | { readonly type: "advance"; readonly job: number; readonly position: number }
  /** Bytes that came over the main thread. */
  | {
      readonly type: "write";
      readonly job: number;
      readonly lane: number;
      readonly position: number;
      readonly bytes: Uint8Array;
    }
  /** Fetches a part; no more of it than `limit` says later. */
  | ({ readonly type: "fetch"; readonly job: number; readonly lane: number } & FetchOrder)
  /** Asks a lane to end earlier: it answers with where. */
  | { readonly type: "limit"; readonly lane: number; readonly end: number }
  | { readonly type: "stop"; readonly lane: number }
  | { readonly type: "close"; readonly job: number };

export interface FetchOrder extends Extent {
  readonly route: DirectRoute;
  /** Bytes of the whole blob. */
  readonly size: number;
  readonly validator?: string | undefined;
  /** Milliseconds without progress. */
  readonly stallTimeout: number;
}

export type Report =
  /** A lane's bytes up to `position` are in the file. */
  | { readonly type: "moved"; readonly lane: number; readonly position: number }
  | { readonly type: "limited"; readonly lane: number; readonly end: number }
  /** Nothing more comes of the lane, and it writes nothing more. */
  | {
      readonly type: "ended";
      readonly lane: number;
      readonly position: number;
      readonly problem?: LaneProblem;
    }
  /** Up to where the blob is hashed. */
  | { readonly type: "hashing"; readonly job: number; readonly position: number }
  | { readonly type: "hashed"; readonly job: number; readonly digest: string }
  /** The file can't be read or written. */
  | {
      readonly type: "broken";
      readonly job: number;
      readonly code: string;
      readonly message: string;
    };

export interface LaneProblem {
  /** In words: `the connection was closed unexpectedly`. */
  readonly reason: string;
  /** What was answered instead of the part; absent where nothing was. */
  readonly status?: number;
}
