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
    const from = this.#list.findIndex((extent) => extent.end >= start);
    if (from < 0) {
      this.#list.push({ start, end });
      return;
    }
    let to = from;
    while (to < this.#list.length && (this.#list[to] as Extent).start <= end) to++;
    const touched = this.#list.slice(from, to);
    this.#list.splice(from, to - from, {
      start: Math.min(start, ...touched.map((extent) => extent.start)),
      end: Math.max(end, ...touched.map((extent) => extent.end)),
    });
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
