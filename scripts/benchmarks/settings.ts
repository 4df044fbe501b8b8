/** How a benchmark is to be run. */
export interface Settings {
  /** Interleaved runs of each measurement. */
  readonly runs: number;
  /** Bytes of a blob. */
  readonly size: number;
  /** An empty directory in memory (tmpfs), for what must not wait for a disk. */
  readonly memory: string;
  /** An empty directory on a real disk. */
  readonly disk: string;
  /** Tells the person who runs it something that isn't a result. */
  note(text: string): void;
}
