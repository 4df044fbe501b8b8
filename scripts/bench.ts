/** Measurements. Each one is a file in scripts/benchmarks/. */

interface Benchmark {
  readonly about: string;
  run(words: string[]): Promise<void>;
}

const benchmarks: Record<string, Benchmark> = {
  pull: {
    about: "the client against crane, oras and skopeo, as far as on PATH",
    run: async (words) => (await import("./benchmarks/pull.ts")).benchPull(words),
  },
  serve: {
    about: "the registry against nginx, distribution (`registry`) and zot, as far as on PATH",
    run: async (words) => (await import("./benchmarks/serve.ts")).benchServe(words),
  },
};

const [name, ...words] = process.argv.slice(2);
const benchmark = benchmarks[name ?? ""];
if (benchmark) {
  await benchmark.run(words);
} else {
  const list = Object.entries(benchmarks).map(([key, { about }]) => `  ${key.padEnd(8)}${about}\n`);
  process.stdout.write(
    `usage: scripts/bench NAME [OPTION…], scripts/bench NAME --help\n\n${list.join("")}`,
  );
  if (name !== undefined && name !== "--help") {
    process.stderr.write(`\nno benchmark is called ${JSON.stringify(name)}\n`);
    process.exitCode = 2;
  }
}
