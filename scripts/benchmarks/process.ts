/** What Linux knows of a process and those that it started. */
import { readdirSync, readFileSync } from "node:fs";

/** Clock ticks a second: the same 100 on every architecture that Linux runs on. */
const ticks = 100;

/** CPU seconds (user and system) of a process and its living children. */
export function cpuTime(pid: number): number {
  return family(pid).reduce((sum, member) => {
    const [, , , , , , , , , , , user = "0", system = "0"] = statFields(member);
    return sum + (Number(user) + Number(system)) / ticks;
  }, 0);
}

/** The most memory that it had resident, in bytes. */
export function peakMemory(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  return Number(/VmHWM:\s+(\d+) kB/.exec(status)?.[1] ?? 0) * 1024;
}

function family(pid: number): number[] {
  const children = readdirSync("/proc")
    .map(Number)
    .filter((other) => other > 0 && Number(statFields(other)[1]) === pid);
  return [pid, ...children];
}

/** The fields of /proc/PID/stat after the name, which may contain spaces: the first is the state. */
function statFields(pid: number): string[] {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    return stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  } catch {
    return [];
  }
}
