/**
 * A power cut: what a file system has been told to keep is what its device has, not what is in the
 * page cache. The file system is in an image file; the image is copied while it is mounted, and the
 * copy is what a machine would find that lost its power at that instant.
 */
import { copyFileSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Mounted, mountImage, mountTools } from "./mount.ts";
import { requireTool, runChecked } from "./programs.ts";
import { temporaryDirectory } from "./temp.ts";

/** The programs that it takes, for `testWith`; and `mayMount()` must be true. */
export const powerCutTools = [...mountTools, "losetup", "mkfs.ext4"] as const;

export interface Disk extends Mounted {
  /** What would be found after a power cut now: mounted, until disposed. */
  cut(): Promise<Mounted>;
}

/** A fresh ext4 of `bytes`. */
export async function mountDisk(bytes: number): Promise<Disk> {
  const directory = temporaryDirectory();
  const image = join(directory, "disk.img");
  writeFileSync(image, "");
  truncateSync(image, bytes);
  await runChecked([requireTool("mkfs.ext4"), "-q", "-F", image]);
  const mounted = await mountImage(image);
  let cuts = 0;
  return {
    ...mounted,
    cut() {
      const copy = join(directory, `cut-${cuts++}.img`);
      copyFileSync(image, copy);
      return mountImage(copy);
    },
  };
}
