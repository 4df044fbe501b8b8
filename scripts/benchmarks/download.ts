/** Blob GET against nginx, which serves the same file with sendfile. */
import { mkdir, realpath, rm } from "node:fs/promises";
import { join, relative } from "node:path";
import { findTool } from "../../test/support/programs.ts";
import { makeFile, pushBlob } from "./content.ts";
import { cpuTime } from "./process.ts";
import { compare, cpuSeconds, gigabytesPerSecond, median, type Result } from "./report.ts";
import { type Server, startNginx, startOcireg } from "./servers.ts";
import type { Settings } from "./settings.ts";

export async function measureDownloads(settings: Settings): Promise<Result[]> {
  if (!findTool("nginx")) {
    settings.note("blob GET is left out: nginx isn't on PATH");
    return [];
  }
  // In memory, so that both servers do nothing but send.
  const root = join(settings.memory, "download");
  await mkdir(root);
  const ocireg = await startOcireg(root);
  const file = await makeFile(join(settings.memory, "blob"), settings.size);
  await pushBlob(ocireg.url, "bench/blob", file.digest, Bun.file(file.path));
  const nginx = await startNginx(root, settings.memory);
  try {
    const hex = file.digest.replace("sha256:", "");
    const stored = `docker/registry/v2/blobs/sha256/${hex.slice(0, 2)}/${hex}/data`;
    const paths = {
      ocireg: `/v2/bench/blob/blobs/${file.digest}`,
      nginx: `/${relative(await realpath(root), await realpath(join(root, stored)))}`,
    };
    const results: Result[] = [];
    for (const connections of [1, 4]) {
      const [ours, theirs] = [new Samples(), new Samples()];
      // A second each, and what else the machine does shows: so three times as many.
      for (let run = 0; run < 3 * settings.runs; run++) {
        ours.add(await download(ocireg, paths.ocireg, connections, settings.size));
        theirs.add(await download(nginx, paths.nginx, connections, settings.size));
      }
      const what = `blob GET, ${connections} connection${connections === 1 ? "" : "s"}`;
      results.push(
        compare(what, ours.speed(), { name: "nginx", value: theirs.speed() }, gigabytesPerSecond, {
          atLeast: 0.9,
        }),
        compare(`${what}: CPU`, ours.cpu(), { name: "nginx", value: theirs.cpu() }, cpuSeconds),
      );
    }
    return results;
  } finally {
    await Promise.all([ocireg.stop(), nginx.stop()]);
    await rm(root, { recursive: true });
    await rm(file.path);
  }
}

interface Sample {
  /** GB/s */
  readonly speed: number;
  /** CPU seconds of the server per GB. */
  readonly cpu: number;
}

class Samples {
  readonly #samples: Sample[] = [];
  add(sample: Sample): void {
    this.#samples.push(sample);
  }
  speed = () => median(this.#samples.map((sample) => sample.speed));
  cpu = () => median(this.#samples.map((sample) => sample.cpu));
}

/** Reads with dd, which takes whatever has come, up to 1 MiB at once, and drops it. */
async function download(
  server: Server,
  path: string,
  connections: number,
  size: number,
): Promise<Sample> {
  const { hostname, port } = new URL(server.url);
  const script = `exec 3<>/dev/tcp/${hostname}/${port}
    printf 'GET ${path} HTTP/1.1\\r\\nHost: ${hostname}\\r\\nConnection: close\\r\\n\\r\\n' >&3
    exec dd bs=1M of=/dev/null <&3`;
  const cpuBefore = cpuTime(server.pid);
  const started = performance.now();
  const readers = Array.from({ length: connections }, async () => {
    const reader = Bun.spawn(["bash", "-c", script], { stderr: "pipe" });
    const said = await reader.stderr.text();
    const bytes = Number(/^(\d+) bytes/m.exec(said)?.[1] ?? 0);
    if (bytes < size) throw new Error(`only ${bytes} of ${size} bytes came: ${said}`);
  });
  await Promise.all(readers);
  const seconds = (performance.now() - started) / 1000;
  const gigabytes = (size * connections) / 1e9;
  return { speed: gigabytes / seconds, cpu: (cpuTime(server.pid) - cpuBefore) / gigabytes };
}
