/**
 * A link that gives every connection so much and no more, however many requests it carries. The
 * kernel does it: a listening socket hands `SO_MAX_PACING_RATE` (socket(7)) on to the connections
 * that it accepts. No proxy stands between, so nothing of the two cores goes to one; and unlike
 * nginx's `limit_rate` no request begins with a burst.
 */
import { dlopen, FFIType, ptr } from "bun:ffi";
import { readdirSync, readFileSync, readlinkSync } from "node:fs";

const SYS_PIDFD_OPEN = 434;
const SYS_PIDFD_GETFD = 438;
const SOL_SOCKET = 1;
const SO_MAX_PACING_RATE = 47;
/** /proc/net/tcp's word for a listening socket. */
const LISTEN = "0A";

/**
 * Limits each connection that the process accepts on `port` from now on. For our own processes, or
 * as root.
 *
 * @param rate bytes a second, below 4 GiB
 * @throws where the kernel doesn't let us
 */
export function paceConnections(pid: number, port: number, rate: number): void {
  const { symbols: libc, close: unload } = dlopen("libc.so.6", {
    syscall: { args: [FFIType.i64, FFIType.i64, FFIType.i64, FFIType.i64], returns: FFIType.i64 },
    setsockopt: {
      args: [FFIType.i32, FFIType.i32, FFIType.i32, FFIType.ptr, FFIType.u32],
      returns: FFIType.i32,
    },
    close: { args: [FFIType.i32], returns: FFIType.i32 },
  });
  const check = (what: string, result: number | bigint) => {
    if (result < 0)
      throw new Error(`can't limit the connections of process ${pid}: ${what} failed`);
    return Number(result);
  };
  const process = check("pidfd_open", libc.syscall(SYS_PIDFD_OPEN, pid, 0, 0));
  try {
    const theirs = listeningDescriptor(pid, port);
    const ours = check("pidfd_getfd", libc.syscall(SYS_PIDFD_GETFD, process, theirs, 0));
    try {
      const value = new Uint32Array([rate]);
      check("setsockopt", libc.setsockopt(ours, SOL_SOCKET, SO_MAX_PACING_RATE, ptr(value), 4));
    } finally {
      libc.close(ours);
    }
  } finally {
    libc.close(process);
    unload();
  }
}

/** The descriptor of the socket with which a process listens on a port. */
function listeningDescriptor(pid: number, port: number): number {
  const hexPort = port.toString(16).toUpperCase().padStart(4, "0");
  const inodes = ["tcp", "tcp6"]
    .flatMap((table) => readFileSync(`/proc/${pid}/net/${table}`, "utf8").split("\n").slice(1))
    .map((line) => line.trim().split(/\s+/))
    .filter(([, local, , state]) => local?.endsWith(`:${hexPort}`) && state === LISTEN)
    .map((fields) => `socket:[${fields[9]}]`);
  const directory = `/proc/${pid}/fd`;
  const found = readdirSync(directory).find((descriptor) =>
    inodes.includes(readlinkSync(`${directory}/${descriptor}`)),
  );
  if (found === undefined) throw new Error(`process ${pid} doesn't listen on port ${port}`);
  return Number(found);
}
