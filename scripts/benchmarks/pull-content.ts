/** The models that are pulled, in a registry of our own. */
import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { makeModel } from "../../test/support/model.ts";
import { runChecked } from "../../test/support/programs.ts";
import { binary, type Server, startOcireg } from "./servers.ts";

export interface PulledModel {
  /** `two layers` */
  readonly name: string;
  readonly reference: string;
  /** The largest blob. */
  readonly layer: { readonly digest: string; readonly size: number };
  /** Bytes of all blobs. */
  readonly size: number;
}

export interface PullSource {
  readonly server: Server;
  /** One large layer. */
  readonly one: PulledModel;
  /** The same in two. */
  readonly two: PulledModel;
}

/** Starts a registry in memory that has both models. @param size bytes of weights in each */
export async function startPullSource(memory: string, size: number): Promise<PullSource> {
  const root = join(memory, "registry");
  await mkdir(root);
  const server = await startOcireg(root);
  const { host } = new URL(server.url);
  const pushed = async (shards: 1 | 2): Promise<PulledModel> => {
    const directory = join(memory, `model-${shards}`);
    await makeModel(directory, { shards, bytesPerShard: size / shards, seed: shards });
    const repository = `bench/model-${shards}`;
    await runChecked([binary, "push", directory, `${host}/${repository}:v1`, "--progress=none"]);
    await rm(directory, { recursive: true });
    const response = await fetch(`${server.url}/v2/${repository}/manifests/v1`);
    const { config, layers } = (await response.json()) as {
      config: { size: number };
      layers: { digest: string; size: number }[];
    };
    const [layer] = layers.toSorted((a, b) => b.size - a.size);
    if (!layer) throw new Error("a model without layers");
    return {
      name: shards === 1 ? "one layer" : "two layers",
      reference: `${host}/${repository}:v1`,
      layer,
      size: [config, ...layers].reduce((sum, blob) => sum + blob.size, 0),
    };
  };
  return { server, one: await pushed(1), two: await pushed(2) };
}
