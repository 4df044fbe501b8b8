/** What is fetched again: after a kill, at a second pull, by ten processes. */
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { type FaultProxy, startFaultProxy } from "../../test/faults/proxy.ts";
import { measureRun } from "./measured-run.ts";
import type { PulledModel, PullSource } from "./pull-content.ts";
import { ocireg } from "./pullers.ts";
import { limit, median, megabytes, milliseconds, type Result } from "./report.ts";
import type { Settings } from "./settings.ts";

/** Bytes that a killed pull may fetch twice. */
const REPEATED = 64e6;
/** Milliseconds. */
const SECOND_PULL = 100;
/** Bytes a second of a connection: what was sent is then soon received, and can be counted. */
const RATE = 50e6;
const PROCESSES = 10;
const SECOND_PULLS = 11;

const count = (value: number): string => String(value);

export async function measureAgain(
  settings: Settings,
  { one, two }: PullSource,
): Promise<Result[]> {
  await using proxy = await startFaultProxy(one.reference.split("/")[0] ?? "");
  const directory = join(settings.memory, "again");
  const through = ({ reference }: PulledModel) => reference.replace(/^[^/]+/, proxy.host);
  const pull = (model: PulledModel, ...words: string[]) => [
    ...ocireg.command(through(model), directory),
    ...words,
  ];
  const results: Result[] = [];

  proxy.fault = () => ({ rate: RATE });
  for (const model of [one, two]) {
    const fetched: number[] = [];
    for (let run = 0; run < settings.runs; run++) {
      await killHalfway(proxy, pull(model), model);
      proxy.reset();
      await measureRun(pull(model));
      fetched.push(proxy.bytes());
      await rm(directory, { recursive: true });
    }
    const what = `${model.name}, killed at 50 %: fetched by the next pull`;
    results.push(limit(what, Math.max(...fetched), megabytes, model.size / 2 + REPEATED));
  }

  proxy.fault = () => undefined;
  proxy.reset();
  const pulls = Array.from({ length: PROCESSES }, () => measureRun(pull(one)));
  await Promise.all(pulls);
  results.push(
    limit(`${PROCESSES} processes at once: fetched`, proxy.bytes(), megabytes, one.size),
  );

  proxy.reset();
  await measureRun(pull(one));
  results.push(limit("second pull: requests", proxy.log.length, count, 1));
  proxy.reset();
  await measureRun(pull(one, "--offline"));
  results.push(limit("second pull, --offline: requests", proxy.log.length, count, 0));
  for (const words of [[], ["--offline"]]) {
    const times: number[] = [];
    for (let run = 0; run < SECOND_PULLS; run++) {
      const { seconds } = await measureRun(pull(one, ...words));
      times.push(seconds * 1000);
    }
    const what = ["second pull", ...words].join(", ");
    results.push(limit(what, median(times), milliseconds, SECOND_PULL));
  }
  await rm(directory, { recursive: true });
  return results;
}

/** Kills a pull when half of its bytes have been sent. */
async function killHalfway(
  proxy: FaultProxy,
  command: readonly string[],
  { size }: PulledModel,
): Promise<void> {
  proxy.reset();
  const child = Bun.spawn([...command], { stdin: "ignore", stdout: "ignore", stderr: "ignore" });
  while (proxy.bytes() < size / 2 && child.exitCode === null) await Bun.sleep(1);
  child.kill("SIGKILL");
  await child.exited;
}
