/** The reference registry (github.com/distribution/distribution, v3) in a process of its own. */
import { join } from "node:path";
import { type RunningProgram, requireTool, startProgram } from "./programs.ts";

export interface Distribution extends RunningProgram {
  /** `127.0.0.1:<port>` */
  readonly host: string;
  readonly url: string;
  /** Its data directory. */
  readonly root: string;
}

/** Starts `registry serve` over a data directory (its configuration goes beside the data). */
export async function startDistribution(root: string): Promise<Distribution> {
  const config = join(root, "distribution.yml");
  await Bun.write(
    config,
    [
      "version: 0.1",
      "log: { level: info }",
      "storage:",
      `  filesystem: { rootdirectory: ${JSON.stringify(root)} }`,
      "  delete: { enabled: true }",
      "http: { addr: '127.0.0.1:0' }",
    ].join("\n"),
  );
  const program = await startProgram(
    [requireTool("registry"), "serve", config],
    /listening on (127\.0\.0\.1:\d+)/,
    { env: { OTEL_TRACES_EXPORTER: "none" } },
  );
  return { ...program, host: program.ready, url: `http://${program.ready}`, root };
}
