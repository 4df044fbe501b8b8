import { expect, test } from "bun:test";
import { join } from "node:path";
import { digestOf } from "../../../src/oci/digest.ts";
import { parseReference } from "../../../src/oci/reference.ts";
import { Download } from "../../../src/pull/engine/download.ts";
import type { Lane } from "../../../src/pull/engine/lane.ts";
import { Lanes } from "../../../src/pull/engine/lanes.ts";
import { PartialBlob } from "../../../src/pull/engine/partial.ts";
import { SourceState } from "../../../src/pull/engine/source-state.ts";
import { RegistryClient } from "../../../src/registry/client.ts";
import { temporaryDirectory } from "../../support/temp.ts";

test("lanes end when the thread dies on which they run, and why is told first", async () => {
  const asked = Promise.withResolvers<void>();
  using server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    fetch() {
      asked.resolve();
      return new Promise<Response>(() => {});
    },
  });
  const client = new RegistryClient({ env: {} });
  const repository = parseReference(`127.0.0.1:${server.port}/user/model:v1`);
  const [origin] = client.blobSources(repository);
  if (!origin) throw new Error("there is no source");
  const source = new SourceState(origin);

  const told: string[] = [];
  const ended = Promise.withResolvers<Lane>();
  using lanes = new Lanes(client, repository, {
    moved() {},
    answered: () => undefined,
    deceived() {},
    changed() {},
    heard() {},
    failed: (error) => void told.push(String(error)),
    ended: (lane) => ended.resolve(lane),
  });
  const blob = { digest: digestOf("0123456789"), size: 10 };
  const partial = await PartialBlob.open(join(temporaryDirectory(), "blob"), blob.size);
  const thread = lanes.pickThread();
  const download = new Download(blob, partial, thread, 1, () => {});
  download.route = { source, direct: { url: `${server.url}blob`, headers: {} } };
  lanes.start(download, { start: 0, end: 10 }, source, performance.now());
  await asked.promise;

  // Nobody catches what this makes it throw.
  thread.send({ type: "fetch" } as never);
  expect((await ended.promise).download).toBe(download);
  expect(told).toEqual([expect.stringContaining("a transfer thread died")]);
  expect({ lanes: lanes.size, ofBlob: download.lanes.size }).toEqual({ lanes: 0, ofBlob: 0 });
  await partial.close();
});
