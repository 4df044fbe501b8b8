import { mkdir, realpath } from "node:fs/promises";
import { networkInterfaces } from "node:os";
import type { Settings } from "../../config/schema.ts";
import { isLoopback } from "../../lib/address.ts";
import { formatDuration } from "../../lib/duration.ts";
import { Failure } from "../../lib/failure.ts";
import { startServer } from "../../server/server.ts";
import { openFilesystemStore } from "../../storage/filesystem/store.ts";
import { type Context, Stopped } from "../context.ts";
import { announce, logger } from "../log.ts";
import { renderError, renderStacks } from "../render/error.ts";
import { logRequest } from "../request-log.ts";

export default async function serve(
  this: Context,
  settings: Pick<
    Settings,
    | "root"
    | "addr"
    | "readOnly"
    | "noDelete"
    | "sparse"
    | "htpasswd"
    | "tlsCert"
    | "tlsKey"
    | "maxManifestSize"
    | "drainTimeout"
  >,
): Promise<void> {
  const { addr, readOnly, noDelete, sparse, htpasswd, maxManifestSize, drainTimeout } = settings;
  const tls = tlsFiles(settings);
  const log = logger();
  if (!isLoopback(addr.host) && !(tls && htpasswd)) {
    const missing = [...(tls ? [] : ["--tls-cert"]), ...(htpasswd ? [] : ["--htpasswd"])];
    log.warn("reachable from other machines without {missing}", {
      missing: missing.join(" and "),
    });
  }

  const onUnexpected = (error: unknown) => {
    log.error("{message}", { message: renderError(error) });
    log.debug("{stacks}", { stacks: renderStacks(error) });
  };
  // A mistake in the answer to one request mustn't end the others.
  process.on("uncaughtException", onUnexpected).on("unhandledRejection", onUnexpected);

  const root = await openRoot(settings.root);
  const store = await openFilesystemStore(root, { readOnly });
  const server = await startServer({
    host: addr.host || everyInterface(),
    port: addr.port,
    store,
    readOnly,
    allowDelete: !noDelete,
    sparse,
    htpasswd,
    tls,
    maxManifestSize,
    onRequest: logRequest,
    onUnexpected,
  });
  announce(this, `serving ${root} on ${server.url}`, { root, url: server.url });

  await aborted(this.signal);
  const time = formatDuration(drainTimeout);
  log.info("stopping: transfers may go on for {drainTimeout}", { drainTimeout: time });
  if (!(await server.stop(drainTimeout))) {
    log.warn(
      "cut the transfers that went on after {drainTimeout}; --drain-timeout gives them more",
      {
        drainTimeout: time,
      },
    );
  }
  log.info("stopped");
  throw new Stopped();
}

/** @throws {Failure} `usage` for half of a pair */
function tlsFiles({ tlsCert, tlsKey }: Pick<Settings, "tlsCert" | "tlsKey">) {
  if (tlsCert !== undefined && tlsKey !== undefined) return { cert: tlsCert, key: tlsKey };
  if (tlsCert === undefined && tlsKey === undefined) return undefined;
  throw new Failure("usage", "--tls-cert and --tls-key go together: give both or none");
}

/** @throws {Failure} `disk` */
async function openRoot(path: string): Promise<string> {
  try {
    await mkdir(path, { recursive: true });
    return await realpath(path);
  } catch (error) {
    throw new Failure(
      "disk",
      `can't use the root ${JSON.stringify(path)}: ${error instanceof Error ? error.message : error}`,
      { cause: error },
    );
  }
}

/** `::` takes IPv4 connections too, but a machine without IPv6 doesn't know it. */
function everyInterface(): string {
  const hasIpv6 = Object.values(networkInterfaces())
    .flat()
    .some((address) => address?.family === "IPv6");
  return hasIpv6 ? "::" : "0.0.0.0";
}

async function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return;
  await new Promise((resolve) => signal.addEventListener("abort", resolve, { once: true }));
}
