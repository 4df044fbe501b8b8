import type { SparsePolicy, Store } from "../storage/store.ts";

/** What the handlers may do, decided when the server started. */
export interface Policy {
  readonly readOnly: boolean;
  readonly allowDelete: boolean;
  readonly sparse: SparsePolicy;
  /** Bytes. */
  readonly maxManifestSize: number;
}

/** One request on its way through the handlers. */
export interface Exchange {
  readonly request: Request;
  readonly query: URLSearchParams;
  readonly store: Store;
  readonly policy: Policy;
  /** Says that bytes have moved: the connection's timeout starts anew. */
  progress(): void;
  /** Says that the server is at work, and silence isn't the peer's fault. */
  pause(): void;
}
