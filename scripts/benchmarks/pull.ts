/** `scripts/bench pull`: the client against other programs that pull. */
import { mkdtempSync, rmSync } from "node:fs";
import { cpus } from "node:os";
import { join } from "node:path";
import { formatByteSize } from "../../src/lib/byte-size.ts";
import { compiledBinary } from "../../test/support/binary.ts";
import { readOptions } from "./options.ts";
import { measureAgain } from "./pull-again.ts";
import { type PullSource, startPullSource } from "./pull-content.ts";
import { measureLimitedLink, measureLoopback } from "./pull-speed.ts";
import { formatTable, type Result } from "./report.ts";
import type { Settings } from "./settings.ts";

const measurements: Record<string, (settings: Settings, source: PullSource) => Promise<Result[]>> =
  { link: measureLimitedLink, loopback: measureLoopback, again: measureAgain };

const allNames = Object.keys(measurements);
const usage = `usage: scripts/bench pull [--runs N] [--size BYTES] [${allNames.join("|")}]…

Measures the compiled \`ocireg pull\` against the peers on PATH: crane, oras, skopeo, all from
\`ocireg serve\` in memory on this machine. Runs of all are interleaved, and medians are shown. Needs
Linux, and curl for link.

  --runs N       runs of each measurement (default 3)
  --size BYTES   of a model's weights (default 2GiB); four of them must fit into memory

  link           50 MB/s for each connection
  loopback       no limit
  again          what is fetched after a kill, by a second pull, and by ten processes
`;

export async function benchPull(words: string[]): Promise<void> {
  const { names, runs, size } = readOptions(words, usage, allNames, { size: "2GiB" });
  const note = (text: string) => void process.stderr.write(`${text}\n`);
  const memory = mkdtempSync(join("/dev/shm", "ocireg-bench-"));
  const cleanUp = () => rmSync(memory, { recursive: true, force: true });
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    process.on(signal, () => {
      cleanUp();
      process.exit(130);
    });
  }
  let source: PullSource | undefined;
  try {
    await compiledBinary();
    note("making two models …");
    source = await startPullSource(memory, size);
    const results: Result[] = [];
    for (const name of names) {
      note(`measuring ${name} …`);
      const settings: Settings = { runs, size, memory, disk: memory, note };
      results.push(...((await measurements[name]?.(settings, source)) ?? []));
    }
    const machine = `${cpus().length} cores (${cpus()[0]?.model ?? "unknown"})`;
    process.stdout.write(
      `Medians of ${runs} interleaved runs, weights of ${formatByteSize(size)}, ${machine}.\n\n${formatTable(results)}`,
    );
    if (results.some(({ passes }) => passes === false)) process.exitCode = 1;
  } finally {
    await source?.server.stop();
    cleanUp();
  }
}
