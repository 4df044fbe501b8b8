import { version } from "../../package.json";

/** Set by build/compile.ts; absent when the sources run as they are. */
declare const OCIREG_COMMIT: string | undefined;

/** `ocireg 0.1.0 (commit 1a2b3c4d5e6f, Bun 1.4.5, linux-x64)` */
export function describeVersion(): string {
  const commit = typeof OCIREG_COMMIT === "undefined" ? "from source" : `commit ${OCIREG_COMMIT}`;
  return `ocireg ${version} (${commit}, Bun ${Bun.version}, ${process.platform}-${process.arch})`;
}
