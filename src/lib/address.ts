/** Where a server listens: `127.0.0.1:5000`, `[::1]:5000`, `:5000`. */
export interface Address {
  /** Empty for all interfaces. */
  readonly host: string;
  /** 0 for any free one. */
  readonly port: number;
}

/** Undefined when `text` isn't `HOST:PORT`, `[IPV6]:PORT` or `:PORT`. */
export function parseAddress(text: string): Address | undefined {
  const match = /^(?:\[([0-9a-fA-F:.%a-z]+)\]|([a-zA-Z0-9._-]*)):(\d{1,5})$/.exec(text);
  const port = Number(match?.[3]);
  if (!match || port > 65535) return undefined;
  return { host: match[1] ?? match[2] ?? "", port };
}

export function formatAddress({ host, port }: Address): string {
  return `${host.includes(":") ? `[${host}]` : host}:${port}`;
}

/** Whether only this machine reaches a server that listens on `host`. */
export function isLoopback(host: string): boolean {
  return host === "localhost" || host === "::1" || /^127(?:\.\d{1,3}){3}$/.test(host);
}

/** `127.0.0.1` for `::ffff:127.0.0.1`, as which a socket of both kinds shows an IPv4 peer. */
export function unmapped(address: string): string {
  return address.replace(/^::ffff:(?=\d{1,3}(?:\.\d{1,3}){3}$)/i, "");
}
