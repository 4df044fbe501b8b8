/** Our own registry, in this process, over a temporary root: what client tests talk to. */
import { type RunningServer, type ServerOptions, startServer } from "../../src/server/server.ts";
import { openFilesystemStore } from "../../src/storage/filesystem/store.ts";
import type { Store } from "../../src/storage/store.ts";
import { temporaryDirectory } from "./temp.ts";

export interface TestRegistryOptions extends Partial<Omit<ServerOptions, "store">> {
  /** A data directory to serve. @default a temporary one */
  root?: string;
}

export interface TestRegistry {
  /** `http://127.0.0.1:<port>` (or https), without a slash at its end. */
  readonly url: string;
  /** `127.0.0.1:<port>`: what stands before the repository in a reference. */
  readonly host: string;
  /** The data directory. */
  readonly root: string;
  readonly store: Store;
  /** Cuts connections that are still open and frees the port. */
  stop(): Promise<void>;
}

export async function startTestRegistry(options: TestRegistryOptions = {}): Promise<TestRegistry> {
  const { root = temporaryDirectory(), ...serverOptions } = options;
  const store = await openFilesystemStore(root);
  const server: RunningServer = await startServer({
    host: "127.0.0.1",
    port: 0,
    ...serverOptions,
    store,
  });
  return {
    url: `${options.tls ? "https" : "http"}://127.0.0.1:${server.port}`,
    host: `127.0.0.1:${server.port}`,
    root,
    store,
    async stop() {
      await server.stop(0);
    },
  };
}
