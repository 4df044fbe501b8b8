/** What a registry has acknowledged outlives a power cut. */
import { expect } from "bun:test";
import { join } from "node:path";
import { type Digest, digestOf } from "../../src/oci/digest.ts";
import { OCI_IMAGE_INDEX } from "../../src/oci/media-types.ts";
import { openFilesystemStore } from "../../src/storage/filesystem/store.ts";
import { mayMount } from "../support/mount.ts";
import { mountDisk, powerCutTools } from "../support/power-cut.ts";
import { type Serving, startServing } from "../support/serving.ts";
import { testWith } from "../support/tools.ts";
import { readBlob } from "./behaviour.ts";

/** What the registry has answered with success. */
class Acknowledged {
  readonly blobs = new Map<Digest, string>();
  readonly manifests = new Map<Digest, string>();
  /** What a tag may mean: the last that was acknowledged, and what was sent after it. */
  readonly tags = new Map<string, Digest[]>();
  count = 0;
}

/** Pushes small things to a registry until it is gone. */
async function pushUntilGone(
  url: string,
  worker: number,
  known: Acknowledged,
  onAcknowledged: () => void,
): Promise<void> {
  const repository = `team-${worker}/model`;
  for (;;) {
    const number = known.count++;
    const content = `${number} ${"x".repeat(number % 7 ? 1000 : 200_000)}`;
    const digest = digestOf(content);
    const begun = await fetch(`${url}/v2/${repository}/blobs/uploads/`, { method: "POST" });
    const location = `${url}${begun.headers.get("location")}?digest=${digest}`;
    const blob = await fetch(location, { method: "PUT", body: content });
    expect(blob.status).toBe(201);
    known.blobs.set(digest, content);
    onAcknowledged();

    const manifest = JSON.stringify({
      schemaVersion: 2,
      mediaType: OCI_IMAGE_INDEX,
      manifests: [],
      annotations: { number: String(number) },
    });
    const [tag, target] = [`v${number % 5}`, digestOf(manifest)];
    const name = `${repository}:${tag}`;
    known.tags.set(name, [...(known.tags.get(name) ?? []), target]);
    const put = await fetch(`${url}/v2/${repository}/manifests/${tag}`, {
      method: "PUT",
      body: manifest,
      headers: { "content-type": OCI_IMAGE_INDEX },
    });
    expect(put.status).toBe(201);
    known.manifests.set(target, manifest);
    known.tags.set(name, [target]);
    onAcknowledged();
  }
}

/**
 * Lets workers push, and kills the server right after the answer number `answers`. One worker alone
 * finds out most: what several sync, they sync for each other.
 */
async function pushAndKill(
  server: Serving,
  known: Acknowledged,
  workers: number,
  answers: number,
): Promise<void> {
  let left = answers;
  const onAcknowledged = () => {
    if (--left === 0) process.kill(server.pid, "SIGKILL");
  };
  const pushes = Array.from({ length: workers }, (_, worker) =>
    pushUntilGone(server.url, worker, known, onAcknowledged),
  );
  for (const outcome of await Promise.allSettled(pushes)) {
    // A connection that broke, and no answer that wasn't expected.
    expect(outcome).toMatchObject({ status: "rejected", reason: { code: expect.any(String) } });
  }
}

async function expectAll(root: string, known: Acknowledged): Promise<void> {
  const store = await openFilesystemStore(root);
  const { items } = await store.listRepositories();
  for (const [digest, content] of known.blobs) {
    const found = await Promise.any(items.map((name) => store.openBlob(name, digest)));
    expect(await readBlob(found)).toBe(content);
  }
  for (const [digest, content] of known.manifests) {
    const found = await Promise.any(items.map((name) => store.getManifest(name, digest)));
    expect(new TextDecoder().decode(found.bytes)).toBe(content);
  }
  for (const [name, targets] of known.tags) {
    const [repository = "", tag = ""] = name.split(":");
    // Acknowledged or not, what a tag shows is whole.
    if (!known.manifests.has(targets[0] as Digest)) continue;
    expect(targets).toContain((await store.getManifest(repository, tag)).digest);
  }
}

if (process.env["OCIREG_TEST_LONG"] === "1" && (await mayMount())) {
  testWith(
    powerCutTools,
    "after a power cut every acknowledged blob, manifest and tag is there",
    async () => {
      await using disk = await mountDisk(128 * 2 ** 20);
      const known = new Acknowledged();
      for (let cut = 0; cut < 8; cut++) {
        const server = await startServing(join(disk.path, "root"));
        await pushAndKill(server, known, cut % 2 ? 3 : 1, 25 + cut);
        await using found = await disk.cut();
        await expectAll(join(found.path, "root"), known);
      }
      expect(known.blobs.size).toBeGreaterThan(80);
    },
  );
}
