/** Sets of byte ranges, as sorted lists of extents that neither overlap nor touch. */

export interface Extent {
  readonly start: number;
  /** One past the last byte. */
  readonly end: number;
}

export class Extents {
  readonly #list: Extent[] = [];

  constructor(extents: Iterable<Extent> = []) {
    for (const { start, end } of extents) this.add(start, end);
  }

  [Symbol.iterator](): Iterator<Extent> {
    return this.#list[Symbol.iterator]();
  }

  /** Bytes in all of them. */
  get total(): number {
    return this.#list.reduce((sum, { start, end }) => sum + end - start, 0);
  }

  /** How many extents there are. */
  get count(): number {
    return this.#list.length;
  }

  get isEmpty(): boolean {
    return this.#list.length === 0;
  }

  /** Where the extent that begins at byte 0 ends; 0 where there is none. */
  get front(): number {
    const first = this.#list[0];
    return first?.start === 0 ? first.end : 0;
  }

  add(start: number, end: number): void {
    if (start >= end) return;
    const from = this.#firstEndingAt(start);
    let to = from;
    while (to < this.#list.length && (this.#list[to] as Extent).start <= end) to++;
    const touched = this.#list.slice(from, to);
    this.#list.splice(from, to - from, {
      start: Math.min(start, touched[0]?.start ?? start),
      end: Math.max(end, touched.at(-1)?.end ?? end),
    });
  }

  /** The index of the first extent that ends at `position` or after it. */
  #firstEndingAt(position: number): number {
    let low = 0;
    let high = this.#list.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#list[middle] as Extent).end < position) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** Removes and returns the first bytes: at most `length`, and without a gap. */
  take(length: number): Extent | undefined {
    const first = this.#list.shift();
    if (!first || first.end - first.start <= length) return first;
    const end = first.start + length;
    this.#list.unshift({ start: end, end: first.end });
    return { start: first.start, end };
  }

  /** What of the first `size` bytes isn't in the set. */
  missing(size: number): Extent[] {
    const holes: Extent[] = [];
    let position = 0;
    for (const { start, end } of this.#list) {
      if (start > position) holes.push({ start: position, end: Math.min(start, size) });
      position = end;
      if (position >= size) return holes;
    }
    if (position < size) holes.push({ start: position, end: size });
    return holes;
  }
}
