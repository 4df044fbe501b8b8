import type { Hasher } from "../../oci/digest.ts";

/** What this process knows of an upload session. */
export interface Session {
  algorithm: string;
  /** Of the first `offset` bytes of the data. */
  hasher: Hasher;
  offset: number;
  /** The file that `hasher` followed, as it was when this process last wrote it. */
  inode: number;
  modified: number;
  /** Counts appends: one that isn't the newest stops. */
  generation: number;
  /** Whether a request is at work on it. */
  active: boolean;
  /** Whether `hasher` is ahead of the file: whoever goes on computes it again. */
  stale: boolean;
  /** Settles when no write is under way. */
  writing: Promise<unknown>;
}

/** Sessions that are remembered; the hash of a forgotten one is computed again from disk. */
const maxSessions = 4096;

export class Sessions extends Map<string, Session> {
  /** Adds a session, and forgets the oldest that nobody is at work on when there are too many. */
  remember(id: string, session: Session): void {
    this.delete(id);
    this.set(id, session);
    if (this.size <= maxSessions) return;
    for (const [oldest, { active }] of this) {
      if (active) continue;
      this.delete(oldest);
      return;
    }
  }
}
