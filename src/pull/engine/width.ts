/**
 * How many lanes a transfer uses: as many as the link rewards. The number doubles while that brings
 * clearly more bytes a second, and quadruples while it brings nearly as many more as there are more
 * lanes; it goes back when it doesn't, and is tried again now and then. A pure function of what it is
 * told.
 */

/** Milliseconds that a number of lanes is watched at least, and at most when little moves. */
const WINDOW = 250;
const LONGEST_WINDOW = 3000;
/** Bytes that say something about a rate. */
const ENOUGH = 1024 * 1024;
/** Which part of the rate that more lanes could bring is worth having them, and many more. */
const WORTHWHILE = 0.4;
const PROPORTIONAL = 0.8;
/** Milliseconds until more lanes are tried again. */
const PATIENCE = 5000;

interface Measured {
  readonly lanes: number;
  /** Bytes a millisecond. */
  readonly rate: number;
}

export class Width {
  #lanes: number;
  #before: Measured | undefined;
  #since: number | undefined;
  #bytes = 0;
  #quietUntil = 0;

  /** @param most lanes at any time, at least 1 */
  constructor(
    private readonly most: number,
    initial: number,
  ) {
    this.#lanes = Math.max(1, Math.min(most, initial));
  }

  /** Lanes to use now. */
  get lanes(): number {
    return this.#lanes;
  }

  /**
   * @param now milliseconds, of any clock that only goes forward
   * @param bytes that have come since the last call
   * @param flowing lanes on which bytes come
   */
  observe(now: number, bytes: number, flowing: number): void {
    if (now < this.#quietUntil) return;
    // Too few lanes at work say nothing about what this many would bring.
    if (this.#since === undefined || flowing < this.#lanes) {
      this.#restart(now);
      return;
    }
    this.#bytes += bytes;
    const elapsed = now - this.#since;
    const isEnough = this.#bytes >= ENOUGH && elapsed >= WINDOW;
    if (isEnough || elapsed >= LONGEST_WINDOW) this.#decide(now, this.#bytes / elapsed);
  }

  /** A host has asked for fewer requests. */
  yield(now: number): void {
    this.#lanes = Math.max(1, this.#lanes >> 1);
    this.#before = undefined;
    this.#since = undefined;
    this.#quietUntil = now + 2 * PATIENCE;
  }

  #decide(now: number, rate: number): void {
    const before = this.#before;
    // 1 where the rate has grown as much as the number of lanes.
    const reward = before && (rate / before.rate - 1) / (this.#lanes / before.lanes - 1);
    if (before && reward !== undefined && reward < WORTHWHILE) {
      if (this.#lanes > 2 * before.lanes) {
        // Too far at once: half the way may still be worth it.
        this.#lanes = 2 * before.lanes;
        this.#restart(now);
        return;
      }
      this.#lanes = before.lanes;
      this.#before = undefined;
      this.#quietUntil = now + PATIENCE;
    } else if (this.#lanes < this.most) {
      const factor = reward !== undefined && reward >= PROPORTIONAL ? 4 : 2;
      this.#before = { lanes: this.#lanes, rate };
      this.#lanes = Math.min(this.most, this.#lanes * factor);
    }
    this.#restart(now);
  }

  #restart(now: number): void {
    this.#since = now;
    this.#bytes = 0;
  }
}
