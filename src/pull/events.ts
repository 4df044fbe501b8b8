/** What a transfer tells while it runs, for whoever draws or logs it. */

/** The part of a transfer that an event is about. */
export interface Subject {
  readonly digest?: string;
  /** The name that the content will have; absent where only its header tells. */
  readonly path?: string;
  /** What content without a path is. */
  readonly kind?: "archive" | "shard";
  /** Bytes of the whole blob. */
  readonly size?: number;
}

/** Bytes, over the whole transfer. What turns out to be there already leaves the total. */
interface Amount {
  readonly completed: number;
  readonly total: number;
}

/** A blob that has begun and isn't verified yet. */
export interface BlobProgress extends Subject {
  /** Bytes that are here, those of earlier runs included. */
  readonly completed: number;
  /** Bytes a second. */
  readonly rate: number;
}

/** An event of a transfer; `--progress json` writes them one object a line. */
export type TransferEvent =
  | ({
      readonly type: "start";
      /** The other side may have some of it already. */
      readonly atMost?: true;
      /** Nothing is moved: what is on disk is read and compared with its digest. */
      readonly check?: true;
    } & Amount)
  /**
   * Four a second as long as it runs, also when nothing moves. The subject is what moved last; rate
   * is bytes a second; `blobs` are those in flight, in the order in which they began.
   */
  | ({
      readonly type: "progress";
      readonly rate: number;
      readonly blobs?: readonly BlobProgress[];
    } & Amount &
      Subject)
  /** Another process is fetching a blob into the same directory. */
  | ({ readonly type: "waiting" } & Subject)
  /** The content of one blob matched its digest. */
  | ({ readonly type: "verified" } & Amount & Subject)
  | ({
      readonly type: "retry";
      /** The attempt that failed, counted from 1. */
      readonly attempt: number;
      /** Milliseconds until the next. */
      readonly delay: number;
      readonly reason: string;
    } & Subject)
  | ({ readonly type: "done" } & Amount)
  | { readonly type: "warning"; readonly message: string }
  | { readonly type: "error"; readonly message: string };

export type EventListener = (event: TransferEvent) => void;

/** Milliseconds. */
const PROGRESS_INTERVAL = 250;
/** Milliseconds over which a rate is averaged. */
const RATE_SPAN = 3_000;

/** Bytes a second, from what moved between two looks. */
class Rate {
  private seen = 0;
  private value: number | undefined;

  /** @param elapsed milliseconds since the last look */
  update(completed: number, elapsed: number): number {
    const current = (Math.max(0, completed - this.seen) / elapsed) * 1000;
    this.seen = completed;
    this.value ??= current;
    this.value += (current - this.value) * (1 - Math.exp(-elapsed / RATE_SPAN));
    return Math.round(this.value);
  }
}

interface BlobInFlight {
  readonly subject: Subject;
  completed: number;
  /** Of `completed`, what moved now. */
  moved: number;
  readonly rate: Rate;
}

/** Counts the bytes of one transfer and tells of them in good time. */
export class ProgressMeter implements Disposable {
  private completed = 0;
  private lookedAt = performance.now();
  private readonly rate = new Rate();
  private subject: Subject = {};
  private readonly inFlight = new Map<string, BlobInFlight>();
  private readonly timer: ReturnType<typeof setInterval>;

  /**
   * @param total bytes to move
   * @param nature whether some of them may turn out to be there already, or all of them are and are
   *   only read
   */
  constructor(
    private total: number,
    private readonly listener: EventListener = () => {},
    private readonly nature: "exactly" | "at most" | "check" = "exactly",
  ) {
    this.listener({
      type: "start",
      completed: 0,
      total,
      ...(nature === "at most" && { atMost: true }),
      ...(nature === "check" && { check: true }),
    });
    this.timer = setInterval(() => this.tick(), PROGRESS_INTERVAL);
    this.timer.unref();
  }

  /** @param bytes negative when what had come is lost */
  advance(bytes: number, subject: Subject): void {
    this.completed += bytes;
    this.subject = subject;
    const blob = this.blobOf(subject);
    blob.completed += bytes;
    blob.moved += bytes;
  }

  /**
   * Takes bytes from the total that needn't be moved.
   *
   * @param subject the blob that they are of: its own count takes them in
   */
  skip(bytes: number, subject?: Subject): void {
    this.total -= bytes;
    if (subject && bytes !== 0) this.blobOf(subject).completed += bytes;
  }

  /** Adds bytes to the total that turn out to be wanted too. */
  expect(bytes: number): void {
    this.total += bytes;
  }

  /** A check says at its end what was wrong, not of each that it was right. */
  verified(subject: Subject): void {
    this.inFlight.delete(keyOf(subject));
    if (this.nature === "check") return;
    this.listener({ type: "verified", ...subject, ...this.amount() });
  }

  done(): void {
    this[Symbol.dispose]();
    this.listener({ type: "done", ...this.amount() });
  }

  [Symbol.dispose](): void {
    clearInterval(this.timer);
  }

  private blobOf(subject: Subject): BlobInFlight {
    const key = keyOf(subject);
    let blob = this.inFlight.get(key);
    if (!blob) {
      blob = { subject, completed: 0, moved: 0, rate: new Rate() };
      this.inFlight.set(key, blob);
    }
    return blob;
  }

  private tick(): void {
    const now = performance.now();
    const elapsed = now - this.lookedAt;
    // Two ticks at once, after the process was busy or stopped, say nothing about a rate.
    if (elapsed < PROGRESS_INTERVAL / 2) return;
    this.lookedAt = now;
    const blobs = [...this.inFlight.values()].map(({ subject, completed, moved, rate }) => ({
      ...subject,
      completed,
      rate: rate.update(moved, elapsed),
    }));
    this.listener({
      type: "progress",
      ...this.subject,
      ...this.amount(),
      rate: this.rate.update(this.completed, elapsed),
      blobs,
    });
  }

  private amount(): Amount {
    return { completed: this.completed, total: this.total };
  }
}

function keyOf({ digest, path }: Subject): string {
  return digest ?? path ?? "";
}
