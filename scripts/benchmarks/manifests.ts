/** Manifest GET by tag, as many requests a second as wrk gets out of one core. */
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { findTool, requireTool, runChecked } from "../../test/support/programs.ts";
import { pushManifest } from "./content.ts";
import { compare, median, perSecond, type Result } from "./report.ts";
import { registryPeers, type Server, startOcireg } from "./servers.ts";
import type { Settings } from "./settings.ts";

const targets: Record<string, number> = { distribution: 5, zot: 2 };

export async function measureManifests(settings: Settings): Promise<Result[]> {
  const peers = registryPeers();
  if (!findTool("wrk") || peers.length === 0) {
    settings.note(
      "manifest GET is left out: it needs wrk, and a registry to compare with, on PATH",
    );
    return [];
  }
  const servers: { name: string; server: Server; rates: number[] }[] = [];
  try {
    for (const { name, start } of [{ name: "ocireg", start: startOcireg }, ...peers]) {
      const root = join(settings.memory, `manifests-${name}`);
      await mkdir(root);
      const server = await start(root);
      servers.push({ name, server, rates: [] });
      await pushManifest(server.url, "bench/model", "v1");
    }
    for (let run = 0; run < settings.runs; run++) {
      for (const { server, rates } of servers) rates.push(await requestRate(server));
    }
  } finally {
    await Promise.all(servers.map(({ server }) => server.stop()));
  }
  const [ours, ...theirs] = servers.map(({ name, rates }) => ({ name, value: median(rates) }));
  if (!ours) return [];
  return theirs.map((peer) => {
    const atLeast = targets[peer.name];
    const bound = atLeast === undefined ? {} : { atLeast };
    return compare(`manifest GET by tag, ${peer.name}`, ours.value, peer, perSecond, bound);
  });
}

async function requestRate(server: Server): Promise<number> {
  const output = await runChecked([
    ...[requireTool("wrk"), "--threads", "1", "--connections", "32", "--duration", "3s"],
    ...["--header", "Accept: application/vnd.oci.image.manifest.v1+json"],
    `${server.url}/v2/bench/model/manifests/v1`,
  ]);
  if (output.includes("Non-2xx")) throw new Error(`the manifest wasn't answered:\n${output}`);
  return Number(/Requests\/sec:\s+([\d.]+)/.exec(output)?.[1]);
}
