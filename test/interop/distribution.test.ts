/** The reference registry: our client against it, and the two servers over one data directory. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { join } from "node:path";
import { digestOf } from "../../src/oci/digest.ts";
import { OCI_IMAGE_INDEX } from "../../src/oci/media-types.ts";
import { RegistryClient } from "../../src/registry/client.ts";
import { compiledBinary } from "../support/binary.ts";
import { type Distribution, startDistribution } from "../support/distribution.ts";
import { makeModel } from "../support/model.ts";
import { type Layout, makeLayout, SBOM_TYPE } from "../support/oci-layout.ts";
import { requireTool, runChecked } from "../support/programs.ts";
import { type Serving, startServing } from "../support/serving.ts";
import { temporaryDirectory } from "../support/temp.ts";
import { describeWith } from "../support/tools.ts";
import { pushLayout, pushManifest, readContent } from "./push-layout.ts";

const client = () => new RegistryClient({ env: {} });

describeWith("registry", "our client with distribution", () => {
  let registry: Distribution;
  let layout: Layout;
  const at = (name: string) => ({ registry: registry.host, repository: name });

  beforeAll(async () => {
    registry = await startDistribution(temporaryDirectory());
    layout = await makeLayout(temporaryDirectory());
    await pushLayout(client(), layout, at("team/app"));
  });

  afterAll(() => registry?.stop());

  test("resolves and gets what it pushed", async () => {
    const reference = { ...at("team/app"), tag: "index" };
    expect((await client().resolve(reference)).digest).toBe(layout.index.digest);
    const { bytes, manifest } = await client().getManifest(reference);
    expect(bytes).toEqual(await readContent(layout, layout.index));
    expect(manifest.mediaType).toBe(OCI_IMAGE_INDEX);
  });

  test("reads a blob, whole and in part", async () => {
    const { manifest } = await client().getManifest({ ...at("team/app"), tag: "image" });
    if (manifest.kind !== "image") throw new Error("not an image");
    const [layer] = manifest.content.layers;
    if (!layer) throw new Error("no layer");
    const content = await readContent(layout, layer);
    expect(await client().statBlob(at("team/app"), layer.digest)).toBe(layer.size);
    const whole = await client().openBlob(at("team/app"), layer);
    expect(await new Response(whole).bytes()).toEqual(content);
    const part = await client().openBlob(at("team/app"), layer, { offset: 5, end: 25 });
    expect(await new Response(part).bytes()).toEqual(content.slice(5, 25));
  });

  test("mounts a blob from another repository", async () => {
    const content = crypto.getRandomValues(new Uint8Array(1000));
    const blob = { digest: digestOf(content), size: content.byteLength };
    expect(await client().pushBlob(at("team/app"), blob, () => content)).toBe("uploaded");
    const mountFrom = "team/app";
    expect(await client().pushBlob(at("team/other"), blob, () => content, { mountFrom })).toBe(
      "mounted",
    );
    expect(await client().pushBlob(at("team/other"), blob, () => content)).toBe("exists");
  });

  test("keeps referrers in a tag, as distribution doesn't list them", async () => {
    const referrers = await client().listReferrers(at("team/app"), layout.image.digest, SBOM_TYPE);
    expect(referrers.map(({ digest }) => digest)).toEqual([layout.sbom.digest]);
    expect(await client().listReferrers(at("team/app"), layout.image.digest, "other/type")).toEqual(
      [],
    );
  });

  test("lists repositories and tags over several pages", async () => {
    const tags = Array.from({ length: 5 }, (_, i) => `v${i}`);
    for (const tag of tags) await pushManifest(client(), layout, layout.image, at("paged"), tag);
    expect(await Array.fromAsync(client().listTags(at("paged"), { pageSize: 2 }))).toEqual(tags);
    expect(
      await Array.fromAsync(client().listRepositories(registry.host, { pageSize: 1 })),
    ).toContain("paged");
  });

  test("deletes a manifest and a blob", async () => {
    await pushManifest(client(), layout, layout.image, at("doomed"), "v1");
    const { manifest } = await client().getManifest({ ...at("doomed"), tag: "v1" });
    if (manifest.kind !== "image") throw new Error("not an image");
    await client().deleteManifest({ ...at("doomed"), digest: layout.image.digest });
    await expect(client().resolve({ ...at("doomed"), tag: "v1" })).rejects.toThrow();
    await client().deleteBlob(at("doomed"), manifest.content.config.digest);
    expect(await client().statBlob(at("doomed"), manifest.content.config.digest)).toBeUndefined();
  });

  test("pushes a model and pulls it with every byte the same", async () => {
    const [source, target] = [temporaryDirectory(), join(temporaryDirectory(), "out")];
    const { files } = await makeModel(source, { shards: 2, bytesPerShard: 3_000_000 });
    const reference = `${registry.host}/models/tiny:v1`;
    const ocireg = await compiledBinary();
    await runChecked([ocireg, "push", source, reference]);
    expect(await runChecked([ocireg, "pull", reference, "--output", target])).toBe(target);
    for (const file of files) {
      expect(digestOf(await Bun.file(join(target, file)).bytes())).toBe(
        digestOf(await Bun.file(join(source, file)).bytes()),
      );
    }
  });
});

describeWith("registry", "a data directory that distribution wrote", () => {
  const root = temporaryDirectory();
  let layout: Layout;
  let before: Map<string, string>;
  const added = { repository: "team/added", tag: "v1" };

  /** What a registry shows: its lists, and the digest of everything that they lead to. */
  async function everythingAt({ host }: Distribution | Serving): Promise<Map<string, string>> {
    const seen = new Map<string, string>();
    for await (const repository of client().listRepositories(host)) {
      for await (const tag of client().listTags({ registry: host, repository })) {
        const reference = { registry: host, repository, tag };
        const { bytes, manifest } = await client().getManifest(reference);
        seen.set(`${repository}:${tag} (${manifest.mediaType})`, digestOf(bytes));
        if (manifest.kind !== "image") continue;
        for (const blob of [manifest.content.config, ...manifest.content.layers]) {
          const body = await client().openBlob(reference, blob);
          const content = await new Response(body).bytes();
          seen.set(`${repository} ${blob.digest}`, digestOf(content));
        }
      }
    }
    return seen;
  }

  beforeAll(async () => {
    layout = await makeLayout(temporaryDirectory());
    const distribution = await startDistribution(root);
    for (const repository of ["app", "team/app", "team/app/nested", "team/doomed"]) {
      await pushLayout(client(), layout, { registry: distribution.host, repository });
    }
    before = await everythingAt(distribution);
    await distribution.stop();
  });

  test("is served by us as it is", async () => {
    const serving = await startServing(root);
    try {
      expect(before.size).toBeGreaterThan(20);
      expect(await everythingAt(serving)).toEqual(before);
      const referrers = await client().listReferrers(
        { registry: serving.host, repository: "app" },
        layout.image.digest,
        SBOM_TYPE,
      );
      expect(referrers.map(({ digest }) => digest)).toEqual([layout.sbom.digest]);
    } finally {
      await serving.stop();
    }
  });

  test("is served by distribution again after we wrote and deleted", async () => {
    const serving = await startServing(root);
    const ours = { registry: serving.host, repository: "team/doomed" };
    await pushLayout(client(), layout, { ...added, registry: serving.host });
    await client().deleteManifest({ ...ours, digest: layout.image.digest });
    await client().deleteManifest({ ...ours, tag: "index" });
    const shown = await everythingAt(serving);
    await serving.stop();

    const distribution = await startDistribution(root);
    try {
      const back = await everythingAt(distribution);
      expect([...back].sort()).toEqual([...shown].sort());
      expect([...back.keys()].filter((name) => name.startsWith("team/doomed:"))).toHaveLength(2);
      const deleted = { registry: distribution.host, repository: "team/doomed" };
      await expect(client().resolve({ ...deleted, digest: layout.image.digest })).rejects.toThrow();
      // It goes on writing where we stopped.
      await pushManifest(client(), layout, layout.image, deleted, "image");
    } finally {
      await distribution.stop();
    }
  });

  test("keeps what is in use when distribution collects its garbage", async () => {
    const config = join(root, "distribution.yml");
    await runChecked([requireTool("registry"), "garbage-collect", config]);
    const distribution = await startDistribution(root);
    try {
      const seen = await everythingAt(distribution);
      expect(seen.get(`${added.repository}:image (${layout.image.mediaType})`)).toBe(
        layout.image.digest,
      );
    } finally {
      await distribution.stop();
    }
  });
});
