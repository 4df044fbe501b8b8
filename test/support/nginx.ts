/** nginx with TLS, as operators put it before a registry. */
import { readFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { requireTool, startProgram } from "./programs.ts";
import { temporaryDirectory } from "./temp.ts";

export interface NginxOptions {
  /** PEM files. */
  readonly certificate: string;
  readonly key: string;
  /** The directives of each `location`. */
  readonly locations: Readonly<Record<string, string>>;
}

export interface Nginx {
  /** `127.0.0.1:<port>`, HTTPS */
  readonly host: string;
  /** Requests so far. */
  requests(): number;
  stop(): Promise<unknown>;
}

export async function startNginx({ certificate, key, locations }: NginxOptions): Promise<Nginx> {
  const directory = temporaryDirectory();
  const host = `127.0.0.1:${await freePort()}`;
  const log = join(directory, "access.log");
  const temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
  const config = join(directory, "nginx.conf");
  await Bun.write(
    config,
    `daemon off; worker_processes 1; pid ${directory}/pid; error_log stderr notice;
    ${process.getuid?.() === 0 ? "user root;" : ""}
    events {}
    http {
      access_log ${log};
      ${temporary.map((name) => `${name}_temp_path ${directory}/${name};`).join(" ")}
      server {
        listen ${host} ssl; ssl_certificate ${certificate}; ssl_certificate_key ${key};
        proxy_http_version 1.1; proxy_set_header Connection "";
        ${Object.entries(locations)
          .map(([path, directives]) => `location ${path} { ${directives} }`)
          .join("\n")}
      }
    }`,
  );
  const program = await startProgram(
    [requireTool("nginx"), "-c", config, "-p", directory],
    /start worker process \d+/,
  );
  return {
    host,
    requests: () => readFileSync(log, "utf8").split("\n").length - 1,
    stop: () => program.stop(),
  };
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  const address = server.address();
  await new Promise((done) => server.close(done));
  if (typeof address !== "object" || address === null) throw new Error("no free port");
  return address.port;
}
