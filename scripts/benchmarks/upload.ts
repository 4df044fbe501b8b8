/** Blob PUT, synced to a real disk: one alone, and four at once while somebody asks `GET /v2/`. */
import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { runChecked } from "../../test/support/programs.ts";
import { makeFile, pushBlob, type SourceFile } from "./content.ts";
import { cpuTime, peakMemory } from "./process.ts";
import {
  compare,
  cpuSeconds,
  gigabytesPerSecond,
  limit,
  median,
  megabytes,
  milliseconds,
  type Result,
} from "./report.ts";
import { type Peer, registryPeers, startOcireg } from "./servers.ts";
import type { Settings } from "./settings.ts";

/** Bytes: what `serve` may have resident in the meantime. */
const memoryLimit = 200e6;

interface Sample {
  /** GB/s */
  readonly speed: number;
  /** CPU seconds of the server per GB. */
  readonly cpu: number;
  /** Milliseconds; the 99th percentile of `GET /v2/`. */
  readonly latency: number;
  /** Bytes */
  readonly memory: number;
}

export async function measureUploads(settings: Settings): Promise<Result[]> {
  const sources: SourceFile[] = [];
  for (let i = 0; i < 4; i++) {
    sources.push(await makeFile(join(settings.memory, `source${i}`), settings.size));
  }
  const results: Result[] = [];
  const peers = registryPeers().filter(({ name }) => name === "distribution");
  const all: Peer[] = [{ name: "ocireg", start: startOcireg }, ...peers];
  for (const count of [1, 4]) {
    const samples = new Map<string, Sample[]>(all.map(({ name }) => [name, []]));
    for (let run = 0; run < settings.runs; run++) {
      for (const server of all) {
        samples.get(server.name)?.push(await upload(server, sources.slice(0, count), settings));
      }
    }
    results.push(...summarize(count, samples));
  }
  await Promise.all(sources.map(({ path }) => rm(path)));
  return results;
}

async function upload(peer: Peer, sources: SourceFile[], settings: Settings): Promise<Sample> {
  const root = join(settings.disk, peer.name);
  await mkdir(root);
  // What earlier runs wrote goes to the disk first.
  await runChecked(["sync"]);
  const server = await peer.start(root);
  const prober = Bun.spawn([process.execPath, join(import.meta.dir, "prober.ts"), server.url], {
    stdin: "pipe",
    stdout: "pipe",
  });
  try {
    const cpuBefore = cpuTime(server.pid);
    const started = performance.now();
    await Promise.all(
      sources.map(({ path, digest }, i) =>
        pushBlob(server.url, `bench/upload${i}`, digest, Bun.file(path)),
      ),
    );
    const seconds = (performance.now() - started) / 1000;
    prober.stdin.end();
    const gigabytes = sources.reduce((sum, { size }) => sum + size, 0) / 1e9;
    return {
      speed: gigabytes / seconds,
      cpu: (cpuTime(server.pid) - cpuBefore) / gigabytes,
      latency: Number(await prober.stdout.text()),
      memory: peakMemory(server.pid),
    };
  } finally {
    prober.kill();
    await server.stop();
    await rm(root, { recursive: true });
  }
}

function summarize(count: number, samples: Map<string, Sample[]>): Result[] {
  const value = (name: string, key: keyof Sample) =>
    median((samples.get(name) ?? []).map((sample) => sample[key]));
  const what = count === 1 ? "blob PUT, alone" : `blob PUT, ${count} at once`;
  const results = [...samples.keys()].slice(1).flatMap((name) => {
    const peer = (key: keyof Sample) => ({ name, value: value(name, key) });
    const ours = (key: keyof Sample) => value("ocireg", key);
    const speed = { atLeast: count === 1 ? 1 : 1.1 };
    const only = count === 1 ? undefined : true;
    return [
      compare(what, ours("speed"), peer("speed"), gigabytesPerSecond, speed),
      compare(`${what}: CPU`, ours("cpu"), peer("cpu"), cpuSeconds, only && { atMost: 0.8 }),
      compare(
        `${what}: p99 of GET /v2/`,
        ours("latency"),
        peer("latency"),
        milliseconds,
        only && { atMost: 1 },
      ),
    ];
  });
  const memory = Math.max(...(samples.get("ocireg") ?? []).map((sample) => sample.memory));
  return [...results, limit(`${what}: most memory`, memory, megabytes, memoryLimit)];
}
