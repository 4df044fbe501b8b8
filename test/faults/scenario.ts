/** A model in a registry, a proxy before it that fails, and what a pull through it must leave. */
import { expect } from "bun:test";
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import type { FailureKind } from "../../src/lib/failure.ts";
import type { Descriptor } from "../../src/oci/descriptor.ts";
import type { ImageManifest } from "../../src/oci/manifest.ts";
import { parseReference } from "../../src/oci/reference.ts";
import { digestFile } from "../../src/pull/blobs.ts";
import { Cache } from "../../src/pull/cache.ts";
import type { TransferEvent } from "../../src/pull/events.ts";
import { pull } from "../../src/pull/pull.ts";
import { push } from "../../src/pull/push.ts";
import { RegistryClient } from "../../src/registry/client.ts";
import type { ClientOptions } from "../../src/registry/options.ts";

import { makeModel } from "../support/model.ts";
import { startTestRegistry } from "../support/registry.ts";
import { temporaryDirectory } from "../support/temp.ts";
import type { Behaviour, Exchange, Fault } from "./behaviour.ts";
import { type FaultProxy, startFaultProxy } from "./proxy.ts";

export const MEBIBYTE = 2 ** 20;

/** A model that some registry has under `models/small:v1`. */
export interface ServedModel {
  /** The registry's `host:port`. */
  readonly host: string;
  /** Name and digest of each file. */
  readonly files: Readonly<Record<string, string>>;
  readonly manifest: ImageManifest;
  /** The weights, in shard order. */
  readonly shards: readonly Descriptor[];
  /** Bytes of all blobs. */
  readonly size: number;
}

export const MODEL = "models/small:v1";

export interface ModelSize {
  readonly shards?: number;
  readonly bytesPerShard?: number;
}

/** Makes a model and pushes it. By default two shards of 24 MiB: several pieces each. */
export async function pushModel(
  host: string,
  client: RegistryClient,
  size: ModelSize = {},
): Promise<ServedModel> {
  const path = temporaryDirectory();
  await makeModel(path, { shards: 2, bytesPerShard: 24 * MEBIBYTE, ...size });
  const reference = parseReference(`${host}/${MODEL}`);
  await push({ path, reference, client, format: "docker-v0.1" });
  const { manifest } = await client.getManifest(reference);
  if (manifest.kind !== "image") throw new Error("a model is an image");
  const { config, layers } = manifest.content;
  return {
    host,
    manifest: manifest.content,
    files: await digestsBelow(path),
    shards: layers.filter(({ mediaType }) => mediaType.endsWith(".safetensors")),
    size: [config, ...layers].reduce((sum, blob) => sum + blob.size, 0),
  };
}

/** A model in our own registry, in this process. */
export async function startModelRegistry(size: ModelSize = {}) {
  const registry = await startTestRegistry();
  const model = await pushModel(registry.host, newClient(), size);
  return { registry, model };
}

/** A fault of the requests for weights alone, which are counted from 1. */
export function onShards(
  { shards }: ServedModel,
  fault: (number: number, exchange: Exchange) => Behaviour | undefined,
): Fault {
  const digests = new Set<string | undefined>(shards.map(({ digest }) => digest));
  let number = 0;
  return (exchange) => (digests.has(exchange.digest) ? fault(++number, exchange) : undefined);
}

/** A client without anybody's settings or credentials. */
export function newClient(options: ClientOptions = {}): RegistryClient {
  return new RegistryClient({ env: {}, ...options });
}

export interface Outcome extends AsyncDisposable {
  readonly proxy: FaultProxy;
  readonly cache: Cache;
  readonly events: TransferEvent[];
  /** Where the model lies. */
  readonly path: string | undefined;
  readonly failure: (Error & { readonly kind?: FailureKind }) | undefined;
}

export interface PullOptions extends ClientOptions {
  readonly cache?: Cache;
  readonly repository?: string;
}

/**
 * Pulls through a proxy that fails, and checks what must hold however that ends: nothing has a final
 * name in the cache that isn't what its name says.
 */
export async function pullThrough(
  model: ServedModel,
  fault: Fault,
  { cache = newCache(), repository = MODEL, ...client }: PullOptions = {},
): Promise<Outcome> {
  const proxy = await startFaultProxy(model.host, fault);
  const events: TransferEvent[] = [];
  const outcome = await pull({
    reference: parseReference(`${proxy.host}/${repository}`),
    client: newClient({
      ...client,
      ...(client.username !== undefined && { credentialRegistry: proxy.host }),
    }),
    cache,
    onEvent: (event) => events.push(event),
  }).then(
    ({ path }) => ({ path, failure: undefined }),
    (failure: Error) => ({ path: undefined, failure }),
  );
  await expectSound(cache.root, model);
  return {
    ...outcome,
    proxy,
    cache,
    events,
    [Symbol.asyncDispose]: () => proxy[Symbol.asyncDispose](),
  };
}

export function newCache(): Cache {
  return new Cache(join(temporaryDirectory(), "cache"));
}

/** The pull succeeded, and every byte is right. */
export async function expectPulled({ path, failure }: Outcome, model: ServedModel): Promise<void> {
  if (failure) throw failure;
  expect(await digestsBelow(path ?? "")).toEqual(model.files);
}

/** The pull failed in this way, on one line, and no model can be seen. */
export function expectFailed({ failure, cache }: Outcome, kind: FailureKind): Error {
  if (!failure) throw new Error("the pull was expected to fail");
  if (failure.kind !== kind) throw failure;
  expect(failure.message).not.toContain("\n");
  expect(shownModels(cache.root)).toEqual([]);
  return failure;
}

/** Checks every file with a final name in a cache: blobs, and the files that views show. */
export async function expectSound(root: string, model: ServedModel): Promise<void> {
  const blobs = join(root, "blobs", "sha256");
  for (const [hex, digest] of Object.entries(await digestsBelow(blobs))) {
    expect(digest).toBe(`sha256:${hex}`);
  }
  for (const view of shownModels(root)) {
    for (const [name, digest] of Object.entries(await digestsBelow(view))) {
      expect({ name, digest }).toEqual({ name, digest: model.files[name] ?? "not in the model" });
    }
  }
}

/** The `model/` of each view. */
function shownModels(root: string): string[] {
  const views = join(root, "views");
  if (!existsSync(views)) return [];
  return readdirSync(views)
    .map((name) => join(views, name, "model"))
    .filter((path) => existsSync(path));
}

/** The digest of every file below a directory, by its path. */
export async function digestsBelow(directory: string): Promise<Record<string, string>> {
  if (!existsSync(directory)) return {};
  const found: Record<string, string> = {};
  const glob = new Bun.Glob("**/*");
  for await (const path of glob.scan({ cwd: directory, followSymlinks: true, dot: true })) {
    found[path] = await digestFile(join(directory, path));
  }
  return found;
}
