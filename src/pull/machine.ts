/** Which machine, which run of it, and which process this is: what tells whether another one lives. */
import { readFile, readlink } from "node:fs/promises";
import { hostname } from "node:os";

export interface ProcessIdentity {
  /** The machine: its name and, where it has one, its id. */
  readonly machine: string;
  /** Changes with every start of the machine; empty where the system doesn't tell. */
  readonly boot: string;
  /** Process ids mean something only within one. Empty where the system has none. */
  readonly pidNamespace: string;
  readonly pid: number;
  /** When the process began, in the system's own terms: ids are used again. */
  readonly started: string;
}

/** Whether a value that was read from a file names a process. */
export function isIdentity(value: unknown): value is ProcessIdentity {
  if (typeof value !== "object" || value === null) return false;
  const { machine, boot, pidNamespace, pid, started } = value as Partial<ProcessIdentity>;
  const texts = [machine, boot, pidNamespace, started];
  return typeof pid === "number" && texts.every((text) => typeof text === "string");
}

let own: Promise<ProcessIdentity> | undefined;

export function thisProcess(): Promise<ProcessIdentity> {
  own ??= identify();
  return own;
}

async function identify(): Promise<ProcessIdentity> {
  const [machineId, boot, pidNamespace, started] = await Promise.all([
    readText("/etc/machine-id"),
    readText("/proc/sys/kernel/random/boot_id"),
    readlink("/proc/self/ns/pid").catch(() => ""),
    startOf(process.pid),
  ]);
  return {
    machine: `${hostname()} ${machineId}`.trim(),
    boot,
    pidNamespace,
    pid: process.pid,
    started,
  };
}

/** Whether the process is certainly gone; false where that can't be told from here. */
export async function isGone(other: ProcessIdentity): Promise<boolean> {
  const self = await thisProcess();
  if (self.machine !== other.machine || self.boot === "" || other.boot === "") return false;
  if (self.boot !== other.boot || self.pidNamespace !== other.pidNamespace) return false;
  if (self.started === "") return false;
  return (await startOf(other.pid)) !== other.started;
}

/** Whether the process was of this machine before it started anew. */
export async function isOfEarlierBoot(other: ProcessIdentity): Promise<boolean> {
  const self = await thisProcess();
  return self.machine === other.machine && other.boot !== "" && self.boot !== other.boot;
}

/** The 22nd field of proc_pid_stat(5); empty where no such process runs, or there is no `/proc`. */
async function startOf(pid: number): Promise<string> {
  const stat = await readText(`/proc/${pid}/stat`);
  // The second field is the program's name, which may hold anything.
  const [state = "", ...fields] = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return /[ZX]/.test(state) ? "" : (fields[18] ?? "");
}

async function readText(path: string): Promise<string> {
  return readFile(path, "utf8").then(
    (text) => text.trim(),
    () => "",
  );
}
