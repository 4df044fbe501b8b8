import { afterAll, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { readFileSync, writeFileSync } from "node:fs";
import type { Descriptor } from "../../src/oci/descriptor.ts";
import { type Digest, digestOf } from "../../src/oci/digest.ts";
import {
  DOCKER_FOREIGN_LAYER,
  OCI_IMAGE_CONFIG,
  OCI_IMAGE_INDEX,
  OCI_IMAGE_MANIFEST,
  OCI_LAYER,
} from "../../src/oci/media-types.ts";
import { describe as describeBytes } from "../../src/oci/partial.ts";
import { type CopyOptions, copy } from "../../src/pull/copy.ts";
import type { TransferEvent } from "../../src/pull/events.ts";
import { RegistryClient } from "../../src/registry/client.ts";
import { startCuttingProxy } from "../support/cutting-proxy.ts";
import { failureOf, startWorld, storedBlob, type World } from "./fixtures.ts";

const MIB = 1024 * 1024;
const bytesOf = (value: unknown) =>
  new TextEncoder().encode(typeof value === "string" ? value : JSON.stringify(value));

let from: World;
let to: World;
beforeAll(async () => {
  [from, to] = [await startWorld(), await startWorld()];
});
afterAll(async () => {
  await from.registry.stop();
  await to.registry.stop();
});
beforeEach(() => {
  from.requests.length = 0;
  to.requests.length = 0;
});

async function putBlob(name: string, mediaType: string, content: Uint8Array): Promise<Descriptor> {
  const descriptor = describeBytes(mediaType, content);
  await from.client.pushBlob(from.reference(name), descriptor, () => new Uint8Array(content));
  return descriptor;
}

async function putManifest(reference: string, manifest: { mediaType: string }) {
  const bytes = bytesOf(manifest);
  const at = from.reference(reference);
  const digest = await from.client.putManifest(at, bytes, manifest.mediaType);
  return describeBytes(manifest.mediaType, bytes, digest);
}

/** Pushes an image with these layers to the source. */
async function putImage(reference: string, layers: readonly Uint8Array[], more: object = {}) {
  const name = reference.split(/[:@]/)[0] ?? "";
  return putManifest(reference, {
    schemaVersion: 2,
    mediaType: OCI_IMAGE_MANIFEST,
    config: await putBlob(name, OCI_IMAGE_CONFIG, bytesOf({ architecture: "amd64", os: "linux" })),
    layers: await Promise.all(layers.map((layer) => putBlob(name, OCI_LAYER, layer))),
    ...more,
  } as { mediaType: string });
}

async function putIndex(reference: string, architectures: readonly string[]) {
  const name = reference.split(":")[0] ?? "";
  const manifests: Descriptor[] = [];
  for (const architecture of architectures) {
    const image = await putImage(`${name}:${architecture}`, [bytesOf(`for ${architecture}`)]);
    manifests.push({ ...image, platform: { os: "linux", architecture } });
  }
  return putManifest(reference, {
    schemaVersion: 2,
    mediaType: OCI_IMAGE_INDEX,
    manifests,
  } as { mediaType: string });
}

const random = (size: number) => {
  const bytes = new Uint8Array(size);
  for (let start = 0; start < size; start += 65_536) {
    crypto.getRandomValues(bytes.subarray(start, Math.min(size, start + 65_536)));
  }
  return bytes;
};

function run(source: string, target: string, options: Partial<CopyOptions> = {}) {
  return copy({
    source: from.reference(source),
    target: to.reference(target),
    client: new RegistryClient({ env: {} }),
    ...options,
  });
}

/** The bytes of the manifest and of all blobs that a reference leads to at the target. */
async function contentAt(world: World, reference: string): Promise<Map<string, number>> {
  const found = new Map<string, number>();
  const visit = async (at: ReturnType<World["reference"]>): Promise<void> => {
    const { manifest, descriptor } = await world.client.getManifest(at);
    found.set(descriptor.digest, descriptor.size);
    if (manifest.kind === "index") {
      const { tag: _, ...repository } = at;
      for (const { digest } of manifest.content.manifests) await visit({ ...repository, digest });
    }
    if (manifest.kind !== "image") return;
    for (const blob of [manifest.content.config, ...manifest.content.layers]) {
      const stream = await world.client.openBlob(at, blob);
      found.set(blob.digest, (await new Response(stream).bytes()).byteLength);
    }
  };
  await visit(world.reference(reference));
  return found;
}

describe("a copy of an image", () => {
  test("has the same digest and every byte, under the tag that was asked for", async () => {
    const image = await putImage("image:v1", [random(3 * MIB), bytesOf("small"), bytesOf("")]);
    const copied = await run("image:v1", "mirror/image:v2");
    expect(copied).toEqual({
      reference: `${to.registry.host}/mirror/image@${image.digest}`,
      digest: image.digest,
    });
    expect(await contentAt(to, "mirror/image:v2")).toEqual(await contentAt(from, "image:v1"));
  });

  test("that is there already is found by two requests, and moves nothing", async () => {
    await putImage("again:v1", [random(1000)]);
    await run("again:v1", "again:v1");
    from.requests.length = 0;
    to.requests.length = 0;
    const events: TransferEvent[] = [];
    await run("again:v1", "again:v1", { onEvent: (event) => events.push(event) });
    expect(from.requests).toEqual(["HEAD manifests"]);
    expect(to.requests).toEqual(["HEAD manifests"]);
    expect(events).toEqual([
      { type: "start", atMost: true, completed: 0, total: 0 },
      { type: "done", completed: 0, total: 0 },
    ]);
  });

  test("under a further tag moves the manifest alone", async () => {
    await putImage("retagged:v1", [random(1000)]);
    await run("retagged:v1", "retagged:v1");
    to.requests.length = 0;
    from.requests.length = 0;
    await run("retagged:v1", "retagged:v2");
    expect(from.requests).toEqual(["HEAD manifests", "GET manifests"]);
    expect(to.requests).toEqual(["HEAD manifests", "HEAD manifests", "PUT manifests"]);
  });

  test("puts the tag last, after the blobs", async () => {
    await putImage("order:v1", [random(1000)]);
    await run("order:v1", "order:v1");
    expect(to.requests.at(-1)).toBe("PUT manifests");
    expect(to.requests.filter((line) => line === "PUT manifests")).toHaveLength(1);
  });

  test("moves only the blobs that are missing, and tells of those alone", async () => {
    const [shared, fresh] = [random(1000), random(2000)];
    await putImage("base:v1", [shared]);
    await run("base:v1", "base:v1");
    await putImage("base:v2", [shared, fresh]);
    const events: TransferEvent[] = [];
    await run("base:v2", "base:v2", { onEvent: (event) => events.push(event) });
    expect(events.filter(({ type }) => type === "verified")).toMatchObject([
      { digest: digestOf(fresh) },
    ]);
    expect(events.at(-1)).toEqual({ type: "done", completed: 2000, total: 2000 });
  });

  test("within one registry mounts blobs instead of moving them", async () => {
    await putImage("mounts/one:v1", [random(1000), random(2000)]);
    from.requests.length = 0;
    await run("mounts/one:v1", "x", { target: from.reference("mounts/two:v1") });
    expect(from.requests.filter((line) => /^(GET|PUT) blobs/.test(line))).toEqual([]);
    expect(await contentAt(from, "mounts/two:v1")).toEqual(await contentAt(from, "mounts/one:v1"));
  });

  test("goes to a digest when that is the source's, and to no other", async () => {
    const { digest } = await putImage("digest:v1", [random(1000)]);
    const other = digestOf("something else");
    const failure = await failureOf(run("digest:v1", `digest:v1@${other}`), "usage");
    expect(failure.message).toContain(digest);
    expect(to.requests).toEqual([]);
    await run("digest:v1", `digest@${digest}`);
    expect((await contentAt(to, `digest@${digest}`)).has(digest)).toBe(true);
    expect(await Array.fromAsync(to.client.listTags(to.reference("digest")))).toEqual([]);
  });

  test("leaves out layers that lie elsewhere by their licence", async () => {
    const foreign = {
      ...describeBytes(DOCKER_FOREIGN_LAYER, bytesOf("not ours to give")),
      urls: ["https://example.com/layer"],
    };
    const image = await putImage("foreign:v1", [], { layers: [foreign] });
    expect((await run("foreign:v1", "foreign:v1")).digest).toBe(image.digest);
  });

  test("of nothing is a failure that says what isn't there", async () => {
    const failure = await failureOf(run("absent:v1", "absent:v1"), "not-found");
    expect(failure.message).toContain("absent:v1");
  });
});

describe("a copy of an index", () => {
  test("has all of its images", async () => {
    const index = await putIndex("index:v1", ["amd64", "arm64", "s390x"]);
    expect((await run("index:v1", "index:v1")).digest).toBe(index.digest);
    expect(await contentAt(to, "index:v1")).toEqual(await contentAt(from, "index:v1"));
  });

  test("has indexes within it, and what isn't a manifest as a blob", async () => {
    const inner = await putIndex("nested:inner", ["amd64"]);
    const blob = await putBlob("nested", OCI_LAYER, random(500));
    await putManifest("nested:v1", {
      schemaVersion: 2,
      mediaType: OCI_IMAGE_INDEX,
      manifests: [inner, blob],
    } as { mediaType: string });
    await run("nested:v1", "nested:v1");
    expect(await to.client.statBlob(to.reference("nested"), blob.digest)).toBe(500);
    expect((await contentAt(to, `nested@${inner.digest}`)).size).toBeGreaterThan(2);
  });

  test("completes one that came without its images", async () => {
    const { digest } = await putIndex("sparse:v1", ["amd64", "arm64"]);
    const { bytes } = await from.client.getManifest(from.reference("sparse:v1"));
    await to.client.putManifest(to.reference("sparse:v1"), bytes, OCI_IMAGE_INDEX);
    expect((await run("sparse:v1", "sparse:v1")).digest).toBe(digest);
    expect(await contentAt(to, "sparse:v1")).toEqual(await contentAt(from, "sparse:v1"));
  });

  test("takes the manifest of one platform alone where that is asked for", async () => {
    await putIndex("platform:v1", ["amd64", "arm64"]);
    const arm = await from.client.resolve(from.reference("platform:arm64"));
    const platform = { os: "linux", architecture: "arm64" };
    const { digest } = await run("platform:v1", "platform:v1", { platform });
    expect(digest).toBe(arm.digest);
    expect(await contentAt(to, "platform:v1")).toEqual(await contentAt(from, "platform:arm64"));
  });

  test("of which a part is missing fails, and leaves no tag", async () => {
    const missing = describeBytes(OCI_IMAGE_MANIFEST, bytesOf("nowhere"));
    await putManifest("partial:v1", {
      schemaVersion: 2,
      mediaType: OCI_IMAGE_INDEX,
      manifests: [missing],
    } as { mediaType: string });
    const failure = await failureOf(run("partial:v1", "partial:v1"), "not-found");
    expect(failure.message).toContain(missing.digest);
    expect(failure.message).toContain("--platform");
    expect(to.requests.filter((line) => line.startsWith("PUT"))).toEqual([]);
  });
});

describe("a copy with referrers", () => {
  const put = (reference: string, subject: Descriptor, text: string) =>
    putImage(reference, [bytesOf(text)], { subject, artifactType: "application/example" });
  const listAt = async (world: World, name: string, digest: Digest) =>
    (await world.client.listReferrers(world.reference(name), digest)).map((entry) => entry.digest);

  test("has what refers to it, and what refers to that, also to the images of an index", async () => {
    const index = await putIndex("signed:v1", ["amd64"]);
    const image = await from.client.resolve(from.reference("signed:amd64"));
    const sbom = await put("signed:sbom", index, "sbom");
    const signature = await put("signed:sig", sbom, "signature of the sbom");
    const attestation = await put("signed:att", image, "attestation");
    await run("signed:v1", "signed:v1", { referrers: true });
    expect(await listAt(to, "signed", index.digest)).toEqual([sbom.digest]);
    expect(await listAt(to, "signed", sbom.digest)).toEqual([signature.digest]);
    expect(await listAt(to, "signed", image.digest)).toEqual([attestation.digest]);
  });

  test("adds those that came later, and moves nothing else", async () => {
    const image = await putImage("later:v1", [random(1000)]);
    await run("later:v1", "later:v1", { referrers: true });
    const sbom = await put("later:sbom", image, "later");
    to.requests.length = 0;
    await run("later:v1", "later:v1", { referrers: true });
    expect(await listAt(to, "later", image.digest)).toEqual([sbom.digest]);
    expect(to.requests.filter((line) => line === "PUT manifests")).toHaveLength(1);
  });

  test("without being asked for them has none", async () => {
    const image = await putImage("plain:v1", [random(1000)]);
    await put("plain:sbom", image, "sbom");
    await run("plain:v1", "plain:v1");
    expect(await listAt(to, "plain", image.digest)).toEqual([]);
  });
});

describe("a copy over a weak link", () => {
  const size = 24 * MIB;

  test("asks the source for the rest when that breaks off", async () => {
    await putImage("weak/source:v1", [random(size)]);
    const cutAt = [6 * MIB, 15 * MIB];
    const proxy = await startCuttingProxy(from.registry.host, { direction: "down", cutAt });
    const source = { ...from.reference("weak/source:v1"), registry: proxy.host };
    const events: TransferEvent[] = [];
    await run("weak/source:v1", "weak/source:v1", {
      source,
      onEvent: (event) => events.push(event),
    });
    expect(proxy.cutsLeft).toBe(0);
    expect(proxy.bytes).toBeLessThan(size + MIB);
    expect(events.filter(({ type }) => type === "retry")).toHaveLength(2);
    // One for the config, if no other test had pushed it, and one for all of the layer.
    expect(to.requests.filter((line) => line === "PUT blobs").length).toBeLessThan(3);
    expect(await contentAt(to, "weak/source:v1")).toEqual(await contentAt(from, "weak/source:v1"));
  }, 60_000);

  test("goes on where the target is when that breaks off", async () => {
    await putImage("weak/target:v1", [random(size)]);
    const cutAt = [6 * MIB, 19 * MIB];
    const down = await startCuttingProxy(from.registry.host, { direction: "down", cutAt: [] });
    const up = await startCuttingProxy(to.registry.host, { direction: "up", cutAt });
    await run("weak/target:v1", "weak/target:v1", {
      source: { ...from.reference("weak/target:v1"), registry: down.host },
      target: { ...to.reference("weak/target:v1"), registry: up.host },
    });
    expect(up.cutsLeft).toBe(0);
    expect(up.bytes).toBeLessThan(size + 2 * 4 * MIB);
    // The state of the hash is kept every 16 MiB: what lies between is read again.
    expect(down.bytes).toBeLessThan(size + 2 * 16 * MIB);
    expect(await contentAt(to, "weak/target:v1")).toEqual(await contentAt(from, "weak/target:v1"));
  }, 60_000);
});

describe("a copy of damaged content", () => {
  const damage = (path: string) => {
    const right = readFileSync(path);
    const wrong = Buffer.from(right);
    wrong[wrong.length - 1] = (wrong.at(-1) ?? 0) ^ 1;
    writeFileSync(path, wrong);
    return () => writeFileSync(path, right);
  };

  test("fails without a blob, a session or a tag at the target", async () => {
    const content = random(2 * MIB);
    await putImage("damaged:v1", [content]);
    damage(storedBlob(from, digestOf(content)));
    const failure = await failureOf(run("damaged:v1", "damaged:v1"), "content");
    expect(failure.message).toContain(digestOf(content));
    expect(failure.message).toContain(from.registry.host);
    expect(await to.client.statBlob(to.reference("damaged"), digestOf(content))).toBeUndefined();
    await failureOf(to.client.resolve(to.reference("damaged:v1")), "not-found");
    // The bytes that would have completed it were never sent.
    expect(to.requests).not.toContain("PUT manifests");
    const sessions = "docker/registry/v2/repositories/damaged/_uploads";
    const left = new Bun.Glob("*/data").scan({ cwd: `${to.registry.root}/${sessions}` });
    expect(await Array.fromAsync(left).catch(() => [])).toEqual([]);
  });

  test("tries once more, as it may have been damaged on its way", async () => {
    const content = random(2 * MIB);
    await putImage("flipped:v1", [content]);
    const mend = damage(storedBlob(from, digestOf(content)));
    const retries: TransferEvent[] = [];
    const onEvent = (event: TransferEvent) => {
      if (event.type !== "retry") return;
      retries.push(event);
      mend();
    };
    await run("flipped:v1", "flipped:v1", { onEvent });
    expect(retries).toHaveLength(1);
    expect(await contentAt(to, "flipped:v1")).toEqual(await contentAt(from, "flipped:v1"));
  });
});
