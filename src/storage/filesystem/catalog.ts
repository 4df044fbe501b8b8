import { readdir, stat } from "node:fs/promises";
import { isMissing } from "../../lib/durable.ts";
import type { Page, PageOptions } from "../store.ts";

/**
 * Lists the repositories below `root` in ASCII order of their names. A walk in that order starts
 * where `last` is and stops when the page is full, so that a page costs what it shows.
 */
export async function listRepositories(
  root: string,
  { limit = Number.POSITIVE_INFINITY, last = "" }: PageOptions = {},
): Promise<Page<string>> {
  const items: string[] = [];
  for await (const name of walk(root, "", last)) {
    if (items.length >= limit) return { items, more: true };
    items.push(name);
  }
  return { items, more: false };
}

async function* walk(root: string, prefix: string, last: string): AsyncGenerator<string> {
  for (const key of await sortedKeys(`${root}/${prefix}`)) {
    const name = `${prefix}${key}`;
    if (name.endsWith("/")) {
      // What lies below sorts between "name/" and "name0", "0" being the character after "/".
      if (name > last || last.startsWith(name)) yield* walk(root, name, last);
    } else if (name > last && (await exists(`${root}/${name}/_manifests`))) {
      yield name;
    }
  }
}

/**
 * Each directory twice: as a repository, `name`, and as the start of others, `name/`. Sorted
 * together, `a`, `a-b` and `a/c` come out in the order of the full names.
 */
async function sortedKeys(directory: string): Promise<string[]> {
  try {
    const entries = await readdir(directory);
    return entries.flatMap((e) => (e.startsWith("_") ? [] : [e, `${e}/`])).sort();
  } catch (error) {
    if (isMissing(error)) return [];
    throw error;
  }
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
