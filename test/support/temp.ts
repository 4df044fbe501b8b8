/**
 * Temporary directories of the tests. `bunfig.toml` preloads this file, so that its `afterAll` ends
 * a test file (with `--isolate`) or the whole run (without), wherever a directory was asked for.
 */
import { afterAll } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const directories: string[] = [];

/** A fresh, empty directory on a real file system; it is removed when the tests are done. */
export function temporaryDirectory(prefix = "ocireg-test-"): string {
  const directory = mkdtempSync(join(tmpdir(), prefix));
  directories.push(directory);
  return directory;
}

afterAll(() => {
  for (const directory of directories.splice(0)) {
    rmSync(directory, { recursive: true, force: true, maxRetries: 3 });
  }
});
