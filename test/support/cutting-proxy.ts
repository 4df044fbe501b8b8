/** A TCP proxy that cuts connections after so many bytes, as weak links do. */
import { afterAll } from "bun:test";
import { connect, createServer, type Socket } from "node:net";

const stops: (() => void)[] = [];
afterAll(() => {
  for (const stop of stops.splice(0)) stop();
});

export interface CuttingProxyOptions {
  /** Which bytes count: those that go to the target (`up`) or come from it (`down`). */
  readonly direction: "up" | "down";
  /** Cut the connection that carries the byte with this number, counted over all connections. */
  readonly cutAt: readonly number[];
}

export interface CuttingProxy {
  /** `127.0.0.1:<port>` */
  readonly host: string;
  /** Bytes so far in the direction that counts. */
  readonly bytes: number;
  /** Cuts that are still to come. */
  readonly cutsLeft: number;
}

/** Starts a proxy before `target`, a `host:port`; it ends with the test file. */
export async function startCuttingProxy(
  target: string,
  { direction, cutAt }: CuttingProxyOptions,
): Promise<CuttingProxy> {
  const cuts = [...cutAt];
  const open = new Set<Socket>();
  let bytes = 0;

  const forward = (from: Socket, to: Socket, counts: boolean) => {
    from.on("data", (chunk: Buffer) => {
      const room = (counts ? cuts[0] : undefined) ?? Number.POSITIVE_INFINITY;
      const passed = chunk.subarray(0, Math.min(chunk.byteLength, room - bytes));
      if (counts) bytes += passed.byteLength;
      if (passed.byteLength < chunk.byteLength) {
        cuts.shift();
        // What was before the cut arrives.
        to.end(passed, () => to.destroySoon());
        from.destroy();
      } else if (!to.write(passed)) {
        from.pause();
        to.once("drain", () => from.resume());
      }
    });
    from.on("end", () => to.end());
    from.on("error", () => {});
    from.on("close", () => {
      open.delete(from);
      to.end();
    });
  };

  const server = createServer((client) => {
    const [host, port] = target.split(":");
    const upstream = connect(Number(port), host);
    open.add(client).add(upstream);
    forward(client, upstream, direction === "up");
    forward(upstream, client, direction === "down");
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  stops.push(() => {
    server.close();
    for (const socket of open) socket.destroy();
  });
  const address = server.address();
  if (typeof address !== "object" || !address) throw new Error("no address");
  return {
    host: `127.0.0.1:${address.port}`,
    get bytes() {
      return bytes;
    },
    get cutsLeft() {
      return cuts.length;
    },
  };
}
