import { readdir, stat } from "node:fs/promises";
import { isMissing } from "../../lib/durable.ts";
import { LruCache } from "../../lib/lru.ts";
import type { Page, PageOptions } from "../store.ts";

/** Entries of directories that are kept in memory, over all of them: some 50 MB at most. */
const maxKept = 500_000;
/**
 * Milliseconds that a directory must have rested before its time is believed: within the clock's
 * tick, a change might leave no trace.
 */
const settled = 2000;

interface Listing {
  readonly modified: bigint;
  readonly keys: readonly string[];
}

/**
 * The repositories below a directory, in ASCII order of their names. A walk in that order starts
 * where `last` is and stops when the page is full, so that a page costs what it shows; a directory
 * is read again only when its time has changed.
 */
export class Catalog {
  private readonly listings = new LruCache<string, Listing>(maxKept, ({ keys }) => keys.length);

  constructor(private readonly root: string) {}

  async list({
    limit = Number.POSITIVE_INFINITY,
    last = "",
  }: PageOptions = {}): Promise<Page<string>> {
    const items: string[] = [];
    for await (const name of this.walk("", last)) {
      if (items.length >= limit) return { items, more: true };
      items.push(name);
    }
    return { items, more: false };
  }

  /** What lies below `prefix`; `last` is below it too, or empty. */
  private async *walk(prefix: string, last: string): AsyncGenerator<string> {
    const keys = await this.sortedKeys(`${this.root}/${prefix}`);
    // What lies below "name/" sorts after it, so a key before `last` may still lead to it.
    const first = firstAfter(keys, last.slice(prefix.length));
    const enclosing = keys[first - 1];
    if (enclosing?.endsWith("/") && last.startsWith(prefix + enclosing)) {
      yield* this.walk(prefix + enclosing, last);
    }
    for (let index = first; index < keys.length; index++) {
      const name = `${prefix}${keys[index]}`;
      if (name.endsWith("/")) yield* this.walk(name, "");
      else if (await exists(`${this.root}/${name}/_manifests`)) yield name;
    }
  }

  /**
   * Each directory twice: as a repository, `name`, and as the start of others, `name/`. Sorted
   * together, `a`, `a-b` and `a/c` come out in the order of the full names.
   */
  private async sortedKeys(directory: string): Promise<readonly string[]> {
    try {
      const { mtimeNs } = await stat(directory, { bigint: true });
      const known = this.listings.get(directory);
      if (known?.modified === mtimeNs) return known.keys;
      const entries = await readdir(directory);
      const keys = entries.flatMap((e) => (e.startsWith("_") ? [] : [e, `${e}/`])).sort();
      if (Date.now() - Number(mtimeNs / 1_000_000n) > settled) {
        this.listings.set(directory, { modified: mtimeNs, keys });
      }
      return keys;
    } catch (error) {
      if (isMissing(error)) return [];
      throw error;
    }
  }
}

/** The index of the first of the sorted `keys` that sorts after `last`. */
function firstAfter(keys: readonly string[], last: string): number {
  let low = 0;
  for (let high = keys.length; low < high; ) {
    const middle = (low + high) >>> 1;
    if ((keys[middle] as string) > last) high = middle;
    else low = middle + 1;
  }
  return low;
}

async function exists(path: string): Promise<boolean> {
  try {
    await stat(path);
    return true;
  } catch (error) {
    if (isMissing(error)) return false;
    throw error;
  }
}
