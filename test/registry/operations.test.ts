import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { join } from "node:path";
import { digestOf } from "../../src/oci/digest.ts";
import { OCI_IMAGE_INDEX } from "../../src/oci/media-types.ts";
import { referrersTag } from "../../src/oci/partial.ts";
import { startDistribution } from "../support/distribution.ts";
import { startTestRegistry } from "../support/registry.ts";
import { temporaryDirectory } from "../support/temp.ts";
import { describeWith } from "../support/tools.ts";
import { blobOf, bytesOf, failureOf, imageOf, MANIFEST_TYPE, newClient } from "./fixtures.ts";

type StartRegistry = () => Promise<{ host: string; stop(): Promise<unknown> }>;

/** What the client does at any registry. */
function describeOperations(start: StartRegistry, hasReferrers: boolean): void {
  let registry: Awaited<ReturnType<StartRegistry>>;
  beforeAll(async () => {
    registry = await start();
  });
  afterAll(async () => {
    await registry.stop();
  });
  const { client } = newClient();
  const config = blobOf("{}");
  const image = imageOf(config.descriptor);
  let count = 0;

  /** A repository that no other test uses, with an image's config in it. */
  async function newRepository() {
    const repository = { registry: registry.host, repository: `team/model-${++count}` };
    await client.pushBlob(repository, config.descriptor, () => config.bytes);
    return repository;
  }

  test("pushes a blob once and reads it back", async () => {
    const repository = await newRepository();
    const { bytes, descriptor } = blobOf("some content".repeat(100_000));
    expect(await client.statBlob(repository, descriptor.digest)).toBeUndefined();

    const progress: number[] = [];
    const onProgress = (sent: number) => progress.push(sent);
    const pushed = client.pushBlob(repository, descriptor, () => bytes, { onProgress });
    expect(await pushed).toBe("uploaded");
    expect(progress.at(0)).toBe(0);
    expect(progress.at(-1)).toBe(descriptor.size);
    expect(progress).toEqual(progress.toSorted((a, b) => a - b));

    expect(await client.statBlob(repository, descriptor.digest)).toBe(descriptor.size);
    expect(await client.pushBlob(repository, descriptor, () => bytes)).toBe("exists");
    const stream = await client.openBlob(repository, descriptor);
    expect(digestOf(await new Response(stream).bytes())).toBe(descriptor.digest);
  });

  test("pushes a file, an empty blob and a sha512 blob", async () => {
    const repository = await newRepository();
    const path = join(temporaryDirectory(), "file");
    await Bun.write(path, "from a file");
    const file = blobOf("from a file");
    const sha512 = { digest: digestOf("by sha512", "sha512"), size: 9 };
    const empty = blobOf("");
    await client.pushBlob(repository, file.descriptor, () => Bun.file(path));
    await client.pushBlob(repository, sha512, () => bytesOf("by sha512"));
    await client.pushBlob(repository, empty.descriptor, () => empty.bytes);
    for (const [descriptor, text] of [
      [file.descriptor, "from a file"],
      [sha512, "by sha512"],
      [empty.descriptor, ""],
    ] as const) {
      expect(await new Response(await client.openBlob(repository, descriptor)).text()).toBe(text);
    }
  });

  test("mounts a blob from another repository, and uploads where that has none", async () => {
    const source = await newRepository();
    const { bytes, descriptor } = blobOf("to be mounted");
    const open = () => bytes;
    const absent = { mountFrom: "team/absent" };
    expect(await client.pushBlob(source, descriptor, open, absent)).toBe("uploaded");
    const target = await newRepository();
    const mounted = client.pushBlob(target, descriptor, open, { mountFrom: source.repository });
    expect(await mounted).toBe("mounted");
    expect(await client.statBlob(target, descriptor.digest)).toBe(descriptor.size);
  });

  test("reads a part of a blob", async () => {
    const repository = await newRepository();
    const { bytes, descriptor } = blobOf("0123456789");
    await client.pushBlob(repository, descriptor, () => bytes);
    const read = async (offset?: number, end?: number) => {
      const part = { ...(offset !== undefined && { offset }), ...(end !== undefined && { end }) };
      return new Response(await client.openBlob(repository, descriptor, part)).text();
    };
    expect(await read(2, 5)).toBe("234");
    expect(await read(7)).toBe("789");
    expect(await read(undefined, 3)).toBe("012");
    expect(await read(10)).toBe("");
    expect(await read(4, 4)).toBe("");
    expect(client.openBlob(repository, descriptor, { offset: 5, end: 4 })).rejects.toThrow(
      RangeError,
    );
    expect(client.openBlob(repository, descriptor, { end: 11 })).rejects.toThrow(RangeError);
  });

  test("pushes a manifest to a tag, resolves and reads it by tag and by digest", async () => {
    const repository = await newRepository();
    const digest = await client.putManifest({ ...repository, tag: "v1" }, image, MANIFEST_TYPE);
    expect(digest).toBe(digestOf(image));
    const descriptor = { mediaType: MANIFEST_TYPE, digest, size: image.byteLength };
    for (const identifier of [{ tag: "v1" }, { digest }, { tag: "gone", digest }]) {
      const reference = { ...repository, ...identifier };
      expect(await client.resolve(reference)).toEqual(descriptor);
      const remote = await client.getManifest(reference);
      expect(remote.descriptor).toEqual(descriptor);
      expect(Buffer.from(remote.bytes).equals(image)).toBe(true);
      expect(remote.manifest.kind).toBe("image");
    }
  });

  test("pushes a manifest to its digest, and to no other", async () => {
    const repository = await newRepository();
    const digest = digestOf(image);
    expect(await client.putManifest({ ...repository, digest }, image, MANIFEST_TYPE)).toBe(digest);
    const other = { ...repository, digest: digestOf("other") };
    expect((await failureOf(client.putManifest(other, image, MANIFEST_TYPE))).kind).toBe("content");
    const invalid = client.putManifest({ ...repository, tag: "a" }, bytesOf("{"), MANIFEST_TYPE);
    expect((await failureOf(invalid)).kind).toBe("content");
  });

  test("lists tags and repositories, in pages of any size", async () => {
    const repository = await newRepository();
    const tags = ["a", "b", "c", "d", "e"];
    for (const tag of tags) await client.putManifest({ ...repository, tag }, image, MANIFEST_TYPE);
    for (const pageSize of [1, 2, 5, 6]) {
      expect(await Array.fromAsync(client.listTags(repository, { pageSize }))).toEqual(tags);
    }
    const repositories = await Array.fromAsync(
      client.listRepositories(registry.host, { pageSize: 1 }),
    );
    expect(repositories).toContain(repository.repository);
  });

  test("deletes manifests and blobs", async () => {
    const repository = await newRepository();
    const digest = await client.putManifest({ ...repository, tag: "v1" }, image, MANIFEST_TYPE);
    await client.deleteManifest({ ...repository, digest });
    expect((await failureOf(client.getManifest({ ...repository, digest }))).kind).toBe("not-found");
    await client.deleteBlob(repository, config.descriptor.digest);
    expect(await client.statBlob(repository, config.descriptor.digest)).toBeUndefined();
    const again = client.deleteBlob(repository, config.descriptor.digest);
    expect((await failureOf(again)).kind).toBe("not-found");
  });

  test("lists referrers, all or of one type, and takes deleted ones off", async () => {
    const repository = await newRepository();
    const subject = digestOf(image);
    await client.putManifest({ ...repository, tag: "v1" }, image, MANIFEST_TYPE);
    expect(await client.listReferrers(repository, subject)).toEqual([]);

    const push = async (artifactType: string) => {
      const bytes = imageOf(config.descriptor, {
        artifactType,
        annotations: { "example.type": artifactType },
        subject: { mediaType: MANIFEST_TYPE, digest: subject, size: image.byteLength },
      });
      const digest = digestOf(bytes);
      await client.putManifest({ ...repository, digest }, bytes, MANIFEST_TYPE);
      return digest;
    };
    // At the same time: a list that clients keep must not lose one of them.
    const [signature, sbom] = await Promise.all([push("example/signature"), push("example/sbom")]);
    await push("example/sbom");

    const referrers = await client.listReferrers(repository, subject);
    expect(referrers.map(({ digest }) => digest).toSorted()).toEqual([signature, sbom].toSorted());
    const signatures = await client.listReferrers(repository, subject, "example/signature");
    expect(signatures.map(({ digest }) => digest)).toEqual([signature]);
    expect(signatures[0]?.annotations).toEqual({ "example.type": "example/signature" });

    await client.deleteManifest({ ...repository, digest: signature });
    const left = await client.listReferrers(repository, subject);
    expect(left.map(({ digest }) => digest)).toEqual([sbom]);
    const tags = await Array.fromAsync(client.listTags(repository));
    expect(tags.includes(referrersTag(subject))).toBe(!hasReferrers);
  });

  test("says what isn't there", async () => {
    const repository = await newRepository();
    const absent = { ...repository, tag: "absent" };
    const failure = await failureOf(client.getManifest(absent));
    expect(failure.kind).toBe("not-found");
    expect(failure.message).toContain(`"${registry.host}/${repository.repository}:absent"`);
    expect(failure.message).toContain("404 MANIFEST_UNKNOWN");
    expect((await failureOf(client.resolve(absent))).kind).toBe("not-found");
    const { descriptor } = blobOf("absent");
    expect((await failureOf(client.openBlob(repository, descriptor))).kind).toBe("not-found");
    const nowhere = { ...repository, repository: "nobody/nothing" };
    const tags = Array.fromAsync(client.listTags(nowhere));
    expect((await failureOf(tags)).kind).toBe("not-found");
  });

  test("passes on the registry's word on a manifest that it doesn't take", async () => {
    const repository = await newRepository();
    const incomplete = imageOf(blobOf("not here").descriptor);
    const reference = { ...repository, tag: "v1" };
    const failure = await failureOf(client.putManifest(reference, incomplete, MANIFEST_TYPE));
    expect(failure.message).toContain("MANIFEST_BLOB_UNKNOWN");
  });
}

describe("the client at our own registry", () => {
  describeOperations(startTestRegistry, true);

  test("reports what the registry refuses to do", async () => {
    const registry = await startTestRegistry({ readOnly: true });
    const { bytes, descriptor } = blobOf("x");
    const repository = { registry: registry.host, repository: "a" };
    const { client } = newClient();
    const failure = await failureOf(client.pushBlob(repository, descriptor, () => bytes));
    expect(["usage", "unauthorized"]).toContain(failure.kind);
    expect(failure.message).toContain(registry.host);
    await registry.stop();
  });
});

describeWith("registry", "the client at distribution", () => {
  describeOperations(() => startDistribution(temporaryDirectory()), false);

  test("refuses a referrers tag that is something else", async () => {
    const registry = await startDistribution(temporaryDirectory());
    const repository = { registry: registry.host, repository: "a" };
    const { client } = newClient();
    const config = blobOf("{}");
    await client.pushBlob(repository, config.descriptor, () => config.bytes);
    const image = imageOf(config.descriptor);
    const tag = referrersTag(digestOf(image));
    await client.putManifest({ ...repository, tag }, image, MANIFEST_TYPE);
    const failure = await failureOf(client.listReferrers(repository, digestOf(image)));
    expect(failure.kind).toBe("content");
    expect(failure.message).toContain("index");

    const index = bytesOf(
      JSON.stringify({ schemaVersion: 2, mediaType: OCI_IMAGE_INDEX, manifests: [] }),
    );
    await client.putManifest({ ...repository, tag }, index, OCI_IMAGE_INDEX);
    expect(await client.listReferrers(repository, digestOf(image))).toEqual([]);
    await registry.stop();
  });
});
