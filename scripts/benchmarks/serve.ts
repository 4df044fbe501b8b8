/** `scripts/bench serve`: the registry against its peers, in one run. */
import { mkdtempSync, rmSync, statfsSync } from "node:fs";
import { cpus, tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { formatByteSize, parseByteSize } from "../../src/lib/byte-size.ts";
import { compiledBinary } from "../../test/support/binary.ts";
import { measureCatalogue } from "./catalogue.ts";
import { measureDownloads } from "./download.ts";
import { measureManifests } from "./manifests.ts";
import { formatTable, type Result } from "./report.ts";
import type { Settings } from "./settings.ts";
import { measureStart } from "./start.ts";
import { measureUploads } from "./upload.ts";

const measurements: Record<string, (settings: Settings) => Promise<Result[]>> = {
  get: measureDownloads,
  manifest: measureManifests,
  put: measureUploads,
  catalogue: measureCatalogue,
  version: measureStart,
};

const allNames = Object.keys(measurements);
const usage = `usage: scripts/bench serve [--runs N] [--size BYTES] [--disk DIR] [${allNames.join("|")}]…

Measures the compiled \`ocireg serve\` against the peers on PATH: nginx, registry (distribution), zot.
Runs of both are interleaved, and medians are shown. Needs Linux; wrk for manifests.

  --runs N       runs of each measurement (default 3)
  --size BYTES   of a blob (default 1GiB); four of them must fit into memory
  --disk DIR     where uploads go; a real disk (default the temporary directory)
`;

/** The magic number of tmpfs in statfs(2). */
const tmpfs = 0x01021994;

export async function benchServe(words: string[]): Promise<void> {
  const { names, runs, size, diskParent } = readArguments(words);
  const note = (text: string) => void process.stderr.write(`${text}\n`);
  const memory = mkdtempSync(join("/dev/shm", "ocireg-bench-"));
  const disk = mkdtempSync(join(diskParent, "ocireg-bench-"));
  const cleanUp = () => {
    for (const path of [memory, disk]) rmSync(path, { recursive: true, force: true });
  };
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    process.on(signal, () => {
      cleanUp();
      process.exit(130);
    });
  }
  try {
    if (statfsSync(disk).type === tmpfs) note(`${diskParent} is in memory: give --disk a real one`);
    await compiledBinary();
    const results: Result[] = [];
    for (const name of names) {
      note(`measuring ${name} …`);
      const measure = measurements[name];
      if (measure) results.push(...(await measure({ runs, size, memory, disk, note })));
    }
    const machine = `${cpus().length} cores (${cpus()[0]?.model ?? "unknown"})`;
    process.stdout.write(
      `Medians of ${runs} interleaved runs, blobs of ${formatByteSize(size)}, ${machine}.\n\n${formatTable(results)}`,
    );
    if (results.some(({ passes }) => passes === false)) process.exitCode = 1;
  } finally {
    cleanUp();
  }
}

/** Ends the process where the words can't be used, or ask for help. */
function readArguments(words: string[]) {
  try {
    const { values, positionals } = parseArgs({
      args: words,
      allowPositionals: true,
      options: {
        runs: { type: "string", default: "3" },
        size: { type: "string", default: "1GiB" },
        disk: { type: "string", default: tmpdir() },
        help: { type: "boolean", short: "h" },
      },
    });
    if (values.help) {
      process.stdout.write(usage);
      process.exit(0);
    }
    const [runs, size] = [Number(values.runs), parseByteSize(values.size)];
    if (!Number.isInteger(runs) || runs < 1) throw new Error("--runs wants a number from 1 on");
    if (!size || size % 2 ** 20) throw new Error("--size wants a multiple of 1MiB");
    for (const name of positionals) {
      if (!measurements[name]) throw new Error(`there is no measurement ${JSON.stringify(name)}`);
    }
    if (process.platform !== "linux") throw new Error("this benchmark reads /proc: it needs Linux");
    const names = positionals.length > 0 ? positionals : allNames;
    return { names, runs, size, diskParent: values.disk };
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : error}\n\n${usage}`);
    process.exit(2);
  }
}
