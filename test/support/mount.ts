/** File systems of a test's own, which take root and a machine that lets it mount. */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { requireTool, runChecked, runCommand } from "./programs.ts";
import { temporaryDirectory } from "./temp.ts";

/** The programs that mounting takes, for `testWith`. */
export const mountTools = ["mount", "umount"] as const;

export interface Mounted extends AsyncDisposable {
  /** Where the file system is. */
  readonly path: string;
}

/** Whether this process may mount: root may, but not in every container. */
export async function mayMount(): Promise<boolean> {
  if (process.getuid?.() !== 0) return false;
  const path = temporaryDirectory();
  const { code } = await runCommand(["mount", "-t", "tmpfs", "tmpfs", path]).catch(() => ({
    code: 1,
  }));
  if (code === 0) await runChecked(["umount", path]);
  return code === 0;
}

/** A file system in memory that holds `bytes` and no more. */
export function mountMemory(bytes: number): Promise<Mounted> {
  return mount("-t", "tmpfs", "-o", `size=${bytes}`, "tmpfs");
}

/** The file system in an image file, by way of a loop device. */
export function mountImage(image: string): Promise<Mounted> {
  return mount("-o", "loop", image);
}

async function mount(...what: string[]): Promise<Mounted> {
  const path = join(temporaryDirectory(), "mounted");
  mkdirSync(path);
  await runChecked([requireTool("mount"), ...what, path]);
  return {
    path,
    async [Symbol.asyncDispose]() {
      await runChecked([requireTool("umount"), path]);
    },
  };
}
