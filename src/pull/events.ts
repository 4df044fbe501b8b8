/** What a transfer tells while it runs, for whoever draws or logs it. */

/** The part of a transfer that an event is about. */
export interface Subject {
  readonly digest?: string;
  /** The name that the content will have; absent where only its header tells. */
  readonly path?: string;
  /** What content without a path is. */
  readonly kind?: "archive" | "shard";
}

/** Bytes, over the whole transfer. What turns out to be there already leaves the total. */
interface Amount {
  readonly completed: number;
  readonly total: number;
}

/** An event of `--progress json`, one object a line. */
export type TransferEvent =
  | ({
      readonly type: "start";
      /** The other side may have some of it already. */
      readonly atMost?: true;
    } & Amount)
  /** At most four a second, and one every ten seconds when nothing moves. Rate: bytes a second. */
  | ({ readonly type: "progress"; readonly rate: number } & Amount & Subject)
  /** The content of one blob matched its digest. */
  | ({ readonly type: "verified" } & Amount & Subject)
  | {
      readonly type: "retry";
      /** The attempt that failed, counted from 1. */
      readonly attempt: number;
      /** Milliseconds until the next. */
      readonly delay: number;
      readonly reason: string;
    }
  | ({ readonly type: "done" } & Amount)
  | { readonly type: "warning"; readonly message: string }
  | { readonly type: "error"; readonly message: string };

export type EventListener = (event: TransferEvent) => void;

/** Milliseconds. */
const PROGRESS_INTERVAL = 250;
const HEARTBEAT_INTERVAL = 10_000;
/** How much of the rate is what the last interval showed. */
const RATE_WEIGHT = 0.2;

/** Counts the bytes of one transfer and tells of them in good time. */
export class ProgressMeter implements Disposable {
  private completed = 0;
  private told = 0;
  private toldAt = performance.now();
  private rate = 0;
  private subject: Subject = {};
  private readonly timer: ReturnType<typeof setInterval>;

  /**
   * @param total bytes to move
   * @param limit whether some of them may turn out to be there already
   */
  constructor(
    private total: number,
    private readonly listener: EventListener = () => {},
    limit: "exactly" | "at most" = "exactly",
  ) {
    this.listener({
      type: "start",
      completed: 0,
      total,
      ...(limit === "at most" && { atMost: true }),
    });
    this.timer = setInterval(() => this.tick(), PROGRESS_INTERVAL);
    this.timer.unref();
  }

  /** @param bytes negative when what had come is lost */
  advance(bytes: number, subject: Subject): void {
    this.completed += bytes;
    this.subject = subject;
  }

  /** Takes bytes from the total that needn't be moved. */
  skip(bytes: number): void {
    this.total -= bytes;
  }

  /** Adds bytes to the total that turn out to be wanted too. */
  expect(bytes: number): void {
    this.total += bytes;
  }

  verified(subject: Subject): void {
    this.listener({ type: "verified", ...subject, ...this.amount() });
  }

  done(): void {
    this[Symbol.dispose]();
    this.listener({ type: "done", ...this.amount() });
  }

  [Symbol.dispose](): void {
    clearInterval(this.timer);
  }

  private tick(): void {
    const now = performance.now();
    const elapsed = now - this.toldAt;
    const moved = this.completed - this.told;
    if (moved === 0 && elapsed < HEARTBEAT_INTERVAL) return;
    const current = (Math.max(0, moved) / elapsed) * 1000;
    this.rate = this.rate === 0 ? current : this.rate + (current - this.rate) * RATE_WEIGHT;
    this.told = this.completed;
    this.toldAt = now;
    this.listener({
      type: "progress",
      ...this.subject,
      ...this.amount(),
      rate: Math.round(this.rate),
    });
  }

  private amount(): Amount {
    return { completed: this.completed, total: this.total };
  }
}
