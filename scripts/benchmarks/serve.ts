/** `scripts/bench serve`: the registry against its peers, in one run. */
import { mkdtempSync, rmSync, statfsSync } from "node:fs";
import { cpus, tmpdir } from "node:os";
import { join } from "node:path";
import { formatByteSize } from "../../src/lib/byte-size.ts";
import { compiledBinary } from "../../test/support/binary.ts";
import { measureCatalogue } from "./catalogue.ts";
import { measureDownloads } from "./download.ts";
import { measureManifests } from "./manifests.ts";
import { readOptions } from "./options.ts";
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
  const {
    names,
    runs,
    size,
    disk: parent = tmpdir(),
  } = readOptions(words, usage, allNames, {
    size: "1GiB",
    disk: tmpdir(),
  });
  const note = (text: string) => void process.stderr.write(`${text}\n`);
  const memory = mkdtempSync(join("/dev/shm", "ocireg-bench-"));
  const disk = mkdtempSync(join(parent, "ocireg-bench-"));
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
    if (statfsSync(disk).type === tmpfs) note(`${parent} is in memory: give --disk a real one`);
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
