/** How long `ocireg version` takes, from starting the process to its end. */
import { limit, median, milliseconds, type Result } from "./report.ts";
import { binary } from "./servers.ts";

export async function measureStart(): Promise<Result[]> {
  const times: number[] = [];
  for (let run = 0; run < 21; run++) {
    const started = performance.now();
    const child = Bun.spawn([binary, "version"], { stdout: "ignore" });
    if ((await child.exited) !== 0) throw new Error("ocireg version failed");
    times.push(performance.now() - started);
  }
  return [limit("ocireg version", median(times), milliseconds, 30)];
}
