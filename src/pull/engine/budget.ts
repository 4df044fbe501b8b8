/**
 * How many bytes may be received now, over all threads: `--limit-rate`. The main thread puts in what
 * time brings, whoever has received bytes takes them out, and pauses while it is overdrawn.
 */
const INTERVAL = 50;

export class Budget {
  readonly #left: Int32Array;

  /** @param memory as another thread's budget has it */
  constructor(readonly memory: SharedArrayBuffer = new SharedArrayBuffer(4)) {
    this.#left = new Int32Array(memory);
  }

  get isOverdrawn(): boolean {
    return Atomics.load(this.#left, 0) < 0;
  }

  spend(bytes: number): void {
    Atomics.sub(this.#left, 0, bytes);
  }

  /**
   * Puts in `rate` bytes a second from now on. What isn't spent at once is gone: a pause isn't made
   * up for.
   */
  fill(rate: number): Disposable {
    let last = performance.now();
    const timer = setInterval(() => {
      const now = performance.now();
      const amount = Math.ceil((rate * Math.min(now - last, 1000)) / 1000);
      last = now;
      const left = Atomics.load(this.#left, 0);
      Atomics.add(this.#left, 0, Math.min(amount, Math.max(0, amount - left)));
    }, INTERVAL);
    timer.unref();
    return { [Symbol.dispose]: () => clearInterval(timer) };
  }
}
