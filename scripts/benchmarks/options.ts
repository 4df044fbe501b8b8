/** The words after `scripts/bench NAME`. */
import { parseArgs } from "node:util";
import { parseByteSize } from "../../src/lib/byte-size.ts";

export interface BenchmarkOptions {
  /** The measurements to make. */
  readonly names: readonly string[];
  /** Of each. */
  readonly runs: number;
  /** Bytes, whole MiB. */
  readonly size: number;
  /** A directory, where the benchmark takes one. */
  readonly disk?: string | undefined;
}

/**
 * Reads `[--runs N] [--size BYTES] [--disk DIR] [NAME]…`. Ends the process where the words can't be
 * used, or ask for help.
 *
 * @param defaults without a `disk` the benchmark doesn't take one
 */
export function readOptions(
  words: string[],
  usage: string,
  measurements: readonly string[],
  defaults: { readonly size: string; readonly disk?: string },
): BenchmarkOptions {
  try {
    const { values, positionals } = parseArgs({
      args: words,
      allowPositionals: true,
      options: {
        runs: { type: "string", default: "3" },
        size: { type: "string", default: defaults.size },
        help: { type: "boolean", short: "h" },
        ...(defaults.disk && { disk: { type: "string", default: defaults.disk } as const }),
      },
    });
    if (values.help) {
      process.stdout.write(usage);
      process.exit(0);
    }
    const [runs, size] = [Number(values.runs), parseByteSize(values.size)];
    if (!Number.isInteger(runs) || runs < 1) throw new Error("--runs wants a number from 1 on");
    if (!size || size % 2 ** 20) throw new Error("--size wants a multiple of 1MiB");
    const unknown = positionals.find((name) => !measurements.includes(name));
    if (unknown !== undefined) {
      throw new Error(`there is no measurement ${JSON.stringify(unknown)}`);
    }
    if (process.platform !== "linux") throw new Error("this benchmark reads /proc: it needs Linux");
    const names = positionals.length > 0 ? positionals : measurements;
    const { disk } = values as { readonly disk?: string };
    return { names, runs, size, disk };
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : error}\n\n${usage}`);
    process.exit(2);
  }
}
