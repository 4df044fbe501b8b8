/** The servers that are measured, each a process over a data directory of its own. */
import { mkdir } from "node:fs/promises";
import { createServer } from "node:net";
import { join, resolve } from "node:path";
import { startDistribution } from "../../test/support/distribution.ts";
import { findTool, requireTool, startProgram } from "../../test/support/programs.ts";

export interface Server {
  readonly url: string;
  readonly pid: number;
  stop(): Promise<unknown>;
}

export type Start = (root: string) => Promise<Server>;

export const binary = resolve(import.meta.dir, "../../dist/ocireg");

export async function startOcireg(root: string): Promise<Server> {
  const program = await startProgram(
    // A line a request would be measured too; the peers log less.
    [binary, "serve", "--addr", "127.0.0.1:0", "--root", root, "--log-level", "warning"],
    / on (http:\/\/127\.0\.0\.1:\d+)/,
  );
  return { ...program, url: program.ready };
}

export { startDistribution };

export async function startZot(root: string): Promise<Server> {
  const port = await freePort();
  const config = join(root, "zot.json");
  await Bun.write(
    config,
    JSON.stringify({
      distSpecVersion: "1.1.1",
      storage: { rootDirectory: join(root, "data"), gc: false },
      http: { address: "127.0.0.1", port: String(port) },
      log: { level: "error" },
    }),
  );
  // It says nothing when it is ready.
  const program = await startProgram(
    ["sh", "-c", `echo started; exec "$0" serve "$1"`, requireTool("zot"), config],
    /started/,
  );
  const url = `http://127.0.0.1:${port}`;
  await untilReady(`${url}/v2/`);
  return { ...program, url };
}

/** nginx with sendfile and one worker, as the others are one process, over the files of `root`. */
export async function startNginx(root: string, workspace: string): Promise<Server> {
  const port = await freePort();
  const directory = join(workspace, "nginx");
  await mkdir(directory, { recursive: true });
  const config = join(directory, "nginx.conf");
  const temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
  await Bun.write(
    config,
    `daemon off; worker_processes 1; pid ${directory}/pid; error_log stderr;
    ${process.getuid?.() === 0 ? "user root;" : ""}
    events {}
    http {
      access_log off; sendfile on; tcp_nopush on; default_type application/octet-stream;
      ${temporary.map((name) => `${name}_temp_path ${directory}/${name};`).join(" ")}
      server { listen 127.0.0.1:${port}; root ${root}; }
    }`,
  );
  const program = await startProgram(
    [
      "sh",
      "-c",
      `echo started; exec "$0" -c "$1" -p "$2"`,
      requireTool("nginx"),
      config,
      directory,
    ],
    /started/,
  );
  const url = `http://127.0.0.1:${port}`;
  await untilReady(url);
  return { ...program, url };
}

export interface Peer {
  readonly name: string;
  readonly start: Start;
}

/** The registries to compare with, as far as they are on PATH. */
export function registryPeers(): Peer[] {
  return [
    { name: "distribution", tool: "registry", start: startDistribution },
    { name: "zot", tool: "zot", start: startZot },
  ].filter(({ tool }) => findTool(tool) !== undefined);
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  const address = server.address();
  await new Promise((done) => server.close(done));
  if (typeof address !== "object" || address === null) throw new Error("no free port");
  return address.port;
}

async function untilReady(url: string): Promise<void> {
  for (let attempt = 0; ; attempt++) {
    try {
      await fetch(url);
      return;
    } catch (error) {
      if (attempt === 200) throw error;
      await Bun.sleep(50);
    }
  }
}
