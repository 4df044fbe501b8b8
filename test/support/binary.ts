/** The compiled executable: what end-to-end and interop tests drive. */
import { existsSync, readdirSync, statSync } from "node:fs";
import { join, resolve } from "node:path";
import { runChecked } from "./programs.ts";

const repository = resolve(import.meta.dir, "../..");
const output = join(repository, "dist", "ocireg");
/** Everything that the executable is made of. */
const sources = ["src", "build", "package.json", "bun.lock"].map((name) => join(repository, name));

let compiled: Promise<string> | undefined;

/** The path of `dist/ocireg` for this machine, compiled when it is missing or older than `src/`. */
export function compiledBinary(): Promise<string> {
  compiled ??= compileIfStale();
  return compiled;
}

async function compileIfStale(): Promise<string> {
  if (existsSync(output) && statSync(output).mtimeMs >= Math.max(...sources.map(newest))) {
    return output;
  }
  await runChecked([process.execPath, join(repository, "build", "compile.ts")], {
    cwd: repository,
  });
  return output;
}

/** The newest modification in a tree, in milliseconds. */
function newest(path: string): number {
  const { mtimeMs } = statSync(path);
  if (!statSync(path).isDirectory()) return mtimeMs;
  return Math.max(mtimeMs, ...readdirSync(path).map((name) => newest(join(path, name))));
}
