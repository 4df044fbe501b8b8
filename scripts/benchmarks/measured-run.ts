/** A program that is run to its end while its costs are watched. */
import { peakMemory } from "./process.ts";

export interface Cost {
  /** Seconds from its start to its end. */
  readonly seconds: number;
  /** CPU seconds, user and system. */
  readonly cpu: number;
  /** The most memory that it had resident, in bytes. */
  readonly memory: number;
  readonly stdout: string;
}

/** Milliseconds between two looks at its memory. */
const LOOK = 10;

/** @throws with what it said, where it fails */
export async function measureRun(command: readonly string[]): Promise<Cost> {
  const started = performance.now();
  const child = Bun.spawn([...command], { stdin: "ignore", stdout: "pipe", stderr: "pipe" });
  let memory = 0;
  // Not ru_maxrss: that counts what the child inherited from this process before it became itself.
  // The last look counts, for the same reason.
  const watch = setInterval(() => {
    memory = peakMemoryIfThere(child.pid) || memory;
  }, LOOK);
  const [code, stdout, stderr] = await Promise.all([
    child.exited,
    child.stdout.text(),
    child.stderr.text(),
  ]);
  const seconds = (performance.now() - started) / 1000;
  clearInterval(watch);
  if (code !== 0) throw new Error(`${command.join(" ")} exited with ${code}:\n${stderr}${stdout}`);
  const cpu = Number(child.resourceUsage()?.cpuTime.total ?? 0) / 1e6;
  return { seconds, cpu, memory, stdout: stdout.trimEnd() };
}

/** 0 when it has ended. */
function peakMemoryIfThere(pid: number): number {
  try {
    return peakMemory(pid);
  } catch {
    return 0;
  }
}
