/** How fast a model comes, and what it costs: over a link that limits connections, and without. */
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { type Cost, measureRun } from "./measured-run.ts";
import { paceConnections } from "./pacing.ts";
import type { PulledModel, PullSource } from "./pull-content.ts";
import { ocireg, type Puller, pullPeers } from "./pullers.ts";
import {
  compare,
  cpuSeconds,
  gigabytesPerSecond,
  limit,
  median,
  megabytes,
  type Result,
} from "./report.ts";
import type { Settings } from "./settings.ts";

/** Bytes a second of a connection. */
const LINK = 50e6;
/** More than any connection here can do, and the most that the kernel takes for no limit. */
const UNLIMITED = 2 ** 32 - 1;
/** Bytes: what a pull may have resident. */
const MEMORY = 150e6;

const bound = join(import.meta.dir, "bound.ts");

/** Over the limited link: how many times as fast as the fastest peer. */
const targets = { one: 8, two: 6 } as const;

export async function measureLimitedLink(
  settings: Settings,
  source: PullSource,
): Promise<Result[]> {
  const port = Number(new URL(source.server.url).port);
  paceConnections(source.server.pid, port, LINK);
  try {
    const results = await measureLink(settings, source);
    for (const which of ["one", "two"] as const) {
      const model = source[which];
      const what = `${model.name}, ${megabytes(LINK)}/s a connection`;
      const samples = await runAll(settings, model);
      results.push(...summarizeSpeed(what, model, samples, targets[which]));
      results.push(limit(`${what}: most memory`, mostMemory(samples), megabytes, MEMORY));
    }
    return results;
  } finally {
    paceConnections(source.server.pid, port, UNLIMITED);
  }
}

export async function measureLoopback(settings: Settings, source: PullSource): Promise<Result[]> {
  const results: Result[] = [];
  for (const model of [source.one, source.two]) {
    const what = `${model.name}, no limit`;
    const samples = await runAll(settings, model);
    const speeds = summarizeSpeed(what, model, samples, 1);
    const fastest = fastestPeer(samples);
    if (fastest !== undefined) {
      const cpu = (name: string) => value(samples, name, ({ cpu }) => cpu) / (model.size / 1e9);
      const peer = { name: fastest, value: cpu(fastest) };
      speeds.push(compare(`${what}: CPU`, cpu("ocireg"), peer, cpuSeconds, { atMost: 1 }));
    }
    results.push(...speeds, limit(`${what}: most memory`, mostMemory(samples), megabytes, MEMORY));
  }
  return [...results, ...(await measureBound(settings, source))];
}

type Samples = Map<string, Cost[]>;

/** Every program once, and again, so that what else the machine does meets them all. */
async function runAll(settings: Settings, model: PulledModel): Promise<Samples> {
  const pullers: Puller[] = [ocireg, ...pullPeers()];
  const samples: Samples = new Map(pullers.map(({ name }) => [name, []]));
  for (let run = 0; run < settings.runs; run++) {
    for (const puller of pullers) {
      const directory = join(settings.memory, "pulled");
      const cost = await measureRun(puller.command(model.reference, directory));
      samples.get(puller.name)?.push(cost);
      settings.note(
        `  ${model.name}: ${puller.name} ${cost.seconds.toFixed(2)} s, ${cost.cpu.toFixed(2)} CPU s, ${megabytes(cost.memory)}`,
      );
      await rm(directory, { recursive: true });
    }
  }
  return samples;
}

function value(samples: Samples, name: string, of: (cost: Cost) => number): number {
  return median((samples.get(name) ?? []).map(of));
}

const seconds = (samples: Samples, name: string) => value(samples, name, (cost) => cost.seconds);

function mostMemory(samples: Samples): number {
  return Math.max(...(samples.get("ocireg") ?? []).map(({ memory }) => memory));
}

function fastestPeer(samples: Samples): string | undefined {
  const names = [...samples.keys()].filter((name) => name !== "ocireg");
  return names.toSorted((a, b) => seconds(samples, a) - seconds(samples, b))[0];
}

/** A row for each peer; the target holds against the fastest. */
function summarizeSpeed(
  what: string,
  { size }: PulledModel,
  samples: Samples,
  atLeast: number,
): Result[] {
  const speed = (name: string) => size / 1e9 / seconds(samples, name);
  const fastest = fastestPeer(samples);
  return [...samples.keys()]
    .filter((name) => name !== "ocireg")
    .map((name) =>
      compare(
        what,
        speed("ocireg"),
        { name, value: speed(name) },
        gigabytesPerSecond,
        name === fastest ? { atLeast } : {},
      ),
    );
}

/**
 * What one connection gets, what 32 get, and how fast the bytes can be written: the limit must be the
 * link's and not the machine's.
 */
async function measureLink(settings: Settings, { server, one }: PullSource): Promise<Result[]> {
  const url = `${server.url}/v2/bench/model-1/blobs/${one.layer.digest}`;
  const results: Result[] = [];
  for (const connections of [1, 32]) {
    const bytes = Math.floor(one.layer.size / 8);
    const started = performance.now();
    const command = ["curl", "--silent", "--fail", "--output", "/dev/null"];
    await Promise.all(
      Array.from({ length: connections }, () =>
        measureRun([...command, "--range", `0-${bytes - 1}`, url]),
      ),
    );
    const speed = (connections * bytes) / 1e9 / ((performance.now() - started) / 1000);
    const what = `the link itself, ${connections} connection${connections === 1 ? "" : "s"} of curl`;
    settings.note(`  ${what}: ${gigabytesPerSecond(speed)}`);
    results.push({ what, ours: "", peer: gigabytesPerSecond(speed) });
  }
  const file = join(settings.memory, "bound");
  const { size } = one.layer;
  const written = await measureRun([process.execPath, bound, "write", file, String(size)]);
  await rm(file);
  const speed = gigabytesPerSecond(size / 1e9 / written.seconds);
  settings.note(`  writing as much, one process: ${speed}`);
  results.push({ what: "writing as much, one process", ours: "", peer: speed });
  return results;
}

/** The least that a pull does, each part in a process of its own. */
async function measureBound(settings: Settings, { server, one }: PullSource): Promise<Result[]> {
  const file = join(settings.memory, "bound");
  const url = `${server.url}/v2/bench/model-1/blobs/${one.layer.digest}`;
  const parts: Cost[][] = [[], []];
  for (let run = 0; run < settings.runs; run++) {
    const { size } = one.layer;
    parts[0]?.push(await measureRun([process.execPath, bound, "receive", url, file, String(size)]));
    parts[1]?.push(await measureRun([process.execPath, bound, "hash", file]));
    await rm(file);
  }
  const gigabytes = one.layer.size / 1e9;
  const [received, hashed] = parts.map((costs) => median(costs.map(({ cpu }) => cpu)) / gigabytes);
  const total = (received ?? 0) + (hashed ?? 0);
  return [
    {
      what: "the bound: receive + write, sha256",
      ours: "",
      peer: `${cpuSeconds(received ?? 0)} + ${cpuSeconds(hashed ?? 0)} = ${cpuSeconds(total)}`,
    },
  ];
}
