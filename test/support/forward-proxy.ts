/**
 * A forward proxy on a free port: CONNECT tunnels and absolute-form requests. Whatever host is asked
 * for, it goes to one target on this machine, so that tests have names of their own.
 */
import { connect, createServer, type Socket } from "node:net";

export interface ForwardProxyOptions {
  /** Where everything goes: a port of 127.0.0.1. */
  readonly port: number;
  /** `user:password` that it asks for. */
  readonly credentials?: string;
  /** The status to answer instead of going there. */
  readonly refuse?: number;
}

export interface RunningProxy extends Disposable {
  /** `127.0.0.1:<port>` */
  readonly host: string;
  /** The hosts that were asked for: `CONNECT registry.test:443`, `GET http://registry.test/v2/`. */
  readonly requests: string[];
}

export async function startForwardProxy(options: ForwardProxyOptions): Promise<RunningProxy> {
  const requests: string[] = [];
  const sockets = new Set<Socket>();
  const server = createServer((client) => {
    sockets.add(client);
    client.on("close", () => sockets.delete(client));
    client.on("error", () => client.destroy());
    let head = "";
    const onData = (chunk: Buffer) => {
      head += chunk.toString("latin1");
      if (!head.includes("\r\n\r\n")) return;
      client.off("data", onData);
      requests.push(head.slice(0, head.indexOf(" HTTP/")));
      forward(client, head, options);
    };
    client.on("data", onData);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  if (typeof address !== "object" || !address) throw new Error("the proxy has no address");
  return {
    host: `127.0.0.1:${address.port}`,
    requests,
    [Symbol.dispose]() {
      server.close();
      for (const socket of sockets) socket.destroy();
    },
  };
}

function forward(client: Socket, head: string, { port, credentials, refuse }: ForwardProxyOptions) {
  const wanted = credentials && `Basic ${Buffer.from(credentials).toString("base64")}`;
  const given = /^proxy-authorization: (.*)$/im.exec(head)?.[1];
  const status = wanted !== undefined && given !== wanted ? 407 : refuse;
  if (status !== undefined) {
    client.end(`HTTP/1.1 ${status} Refused\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`);
    return;
  }
  const target = connect(port, "127.0.0.1");
  target.on("error", () => client.destroy());
  client.on("close", () => target.destroy());
  if (head.startsWith("CONNECT ")) client.write("HTTP/1.1 200 Connected\r\n\r\n");
  else target.write(toOriginForm(head), "latin1");
  client.pipe(target);
  target.pipe(client);
}

/** `GET http://host/path` as the host itself is asked, which learns nothing of the proxy. */
function toOriginForm(head: string): string {
  return head
    .replace(/^(\S+) https?:\/\/[^/\s]+/, "$1 ")
    .replace(/^(\S+)\s+(\S+)/, "$1 $2")
    .replace(/^proxy-[^\r\n]*\r\n/gim, "");
}
