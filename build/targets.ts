/** The machines that executables are made for, and where they are put. */
import { join } from "node:path";

export const targets = [
  "linux-x64",
  "linux-arm64",
  "linux-x64-musl",
  "linux-arm64-musl",
  "darwin-x64",
  "darwin-arm64",
] as const;
export type Target = (typeof targets)[number];

export const repository = join(import.meta.dir, "..");
export const outputDirectory = join(repository, "dist");

/** Where an executable lies. @param target undefined for the machine that compiles */
export function executablePath(target: Target | undefined): string {
  return join(outputDirectory, target ? `ocireg-${target}` : "ocireg");
}

/**
 * What `--target` of a recipe means: this machine without it, or some targets. Ends the process
 * where it means nothing.
 */
export function wantedTargets(target: string | undefined): (Target | undefined)[] {
  if (target === undefined) return [undefined];
  if (target === "all") return [...targets];
  const found = targets.find((name) => name === target);
  if (!found) {
    process.stderr.write(
      `unknown target ${JSON.stringify(target)}, want ${targets.join(", ")} or all\n`,
    );
    process.exit(2);
  }
  return [found];
}
