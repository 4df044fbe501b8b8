import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { type Digest, digestOf } from "../../src/oci/digest.ts";
import {
  OCI_ARTIFACT_MANIFEST,
  OCI_IMAGE_CONFIG,
  OCI_IMAGE_INDEX,
  OCI_IMAGE_MANIFEST,
} from "../../src/oci/media-types.ts";
import { referrersTag } from "../../src/oci/partial.ts";
import { startTestRegistry, type TestRegistry } from "../support/registry.ts";
import {
  descriptorOf,
  expectError,
  newRepository,
  nextPage,
  type TestDescriptor,
  type TestRepository,
} from "./repository.ts";

let registry: TestRegistry;
beforeAll(async () => {
  registry = await startTestRegistry();
});
afterAll(() => registry.stop());

/** The descriptors of a referrers list, whose form is checked. */
async function referrersOf(
  repository: TestRepository,
  digest: string,
  query = "",
): Promise<TestDescriptor[]> {
  const response = await repository.fetch(`referrers/${digest}${query}`);
  expect(response.status).toBe(200);
  expect(response.headers.get("content-type")).toBe(OCI_IMAGE_INDEX);
  const index = (await response.json()) as { manifests: TestDescriptor[] };
  expect(index).toMatchObject({ schemaVersion: 2, mediaType: OCI_IMAGE_INDEX });
  return index.manifests;
}

const byDigest = (a: TestDescriptor, b: TestDescriptor) => (a.digest < b.digest ? -1 : 1);

describe("Listing Referrers", () => {
  test("lists images, indexes and artifacts with the subject, as they describe themselves", async () => {
    const repository = newRepository(registry);
    const subject = await repository.pushImage("v1");
    const annotations = { "org.example.sbom.format": "json", "": "empty key" };
    const artifactType = "application/vnd.example.sbom.v1";
    const image = await repository.pushImage(undefined, { subject, artifactType, annotations });
    const bare = await repository.pushImage(undefined, { subject });
    const index = await repository.pushIndex([], undefined, { subject, annotations });
    const typedIndex = await repository.pushIndex([], undefined, { subject, artifactType });
    const artifact = await repository.pushManifest({
      mediaType: OCI_ARTIFACT_MANIFEST,
      artifactType,
      subject,
    });
    const expected: TestDescriptor[] = [
      { ...image, artifactType, annotations },
      { ...bare, artifactType: OCI_IMAGE_CONFIG },
      { ...index, annotations },
      { ...typedIndex, artifactType },
      { ...artifact, artifactType },
    ];
    const found = await referrersOf(repository, subject.digest);
    expect(found.sort(byDigest)).toEqual(expected.sort(byDigest));
  });

  test("an empty artifactType counts as missing", async () => {
    const repository = newRepository(registry);
    const subject = await repository.pushImage("v1");
    const image = await repository.pushImage(undefined, { subject, artifactType: "" });
    expect(await referrersOf(repository, subject.digest)).toEqual([
      { ...image, artifactType: OCI_IMAGE_CONFIG },
    ]);
  });

  test("a referrer may come before its subject", async () => {
    const repository = newRepository(registry);
    const image = await repository.newImage();
    const subject = descriptorOf(JSON.stringify(image), OCI_IMAGE_MANIFEST);
    const referrer = await repository.pushImage(undefined, { subject });
    const digests = (list: TestDescriptor[]) => list.map((descriptor) => descriptor.digest);
    expect(digests(await referrersOf(repository, subject.digest))).toEqual([referrer.digest]);
    await repository.pushManifest(image, "v1");
    expect(digests(await referrersOf(repository, subject.digest))).toEqual([referrer.digest]);
  });

  test("is an empty list when there are none, for a subject that isn't there, and for an unknown repository", async () => {
    const repository = newRepository(registry);
    const { digest } = await repository.pushImage("v1");
    expect(await referrersOf(repository, digest)).toEqual([]);
    expect(await referrersOf(repository, digestOf("nowhere"))).toEqual([]);
    expect(await referrersOf(repository, digestOf("nowhere", "sha512"))).toEqual([]);
    expect(await referrersOf(newRepository(registry), digest)).toEqual([]);
  });

  test("shows no referrers of another repository", async () => {
    const [here, there] = [newRepository(registry), newRepository(registry)];
    const subject = descriptorOf("nowhere", OCI_IMAGE_MANIFEST);
    await there.pushImage("v1", { subject });
    await here.pushImage("v1");
    expect(await referrersOf(here, subject.digest)).toEqual([]);
  });

  test("lists a referrer once, however often and under however many tags it was pushed", async () => {
    const repository = newRepository(registry);
    const subject = await repository.pushImage("v1");
    const referrer = await repository.newImage({ subject });
    for (const tag of ["a", "b", undefined, "a"]) await repository.pushManifest(referrer, tag);
    expect(await referrersOf(repository, subject.digest)).toHaveLength(1);
  });

  test("works for a subject that is known by its sha512 digest", async () => {
    const repository = newRepository(registry);
    const subject = { ...descriptorOf("x", OCI_IMAGE_MANIFEST), digest: digestOf("x", "sha512") };
    const referrer = await repository.pushImage(undefined, { subject });
    const [found] = await referrersOf(repository, subject.digest);
    expect(found?.digest).toBe(referrer.digest);
  });

  test("shows a referrer no more after it was deleted", async () => {
    const repository = newRepository(registry);
    const subject = await repository.pushImage("v1");
    const [a, b] = [
      await repository.pushImage(undefined, { subject }),
      await repository.pushImage("b", { subject }),
    ];
    await repository.fetch(`manifests/${a.digest}`, { method: "DELETE" });
    expect((await referrersOf(repository, subject.digest)).map((d) => d.digest)).toEqual([
      b.digest,
    ]);
    await repository.fetch("manifests/b", { method: "DELETE" });
    expect(await referrersOf(repository, subject.digest)).toHaveLength(1);
    await repository.fetch(`manifests/${b.digest}`, { method: "DELETE" });
    expect(await referrersOf(repository, subject.digest)).toEqual([]);
  });

  test("outlives the subject", async () => {
    const repository = newRepository(registry);
    const subject = await repository.pushImage("v1");
    await repository.pushImage(undefined, { subject });
    await repository.fetch(`manifests/${subject.digest}`, { method: "DELETE" });
    expect(await referrersOf(repository, subject.digest)).toHaveLength(1);
  });

  test.each([
    "nonsense",
    "sha256:abc",
    `sha256:${"A".repeat(64)}`,
    `md5:${"0".repeat(32)}`,
    "..%2f..%2fetc",
    "v1",
  ])("a GET for %s, which isn't a digest, is 400", async (digest) => {
    const repository = newRepository(registry);
    await repository.pushImage("v1");
    await expectError(await repository.fetch(`referrers/${digest}`), 400, "DIGEST_INVALID");
    await expectError(await newRepository(registry).fetch(`referrers/${digest}`), 400);
  });
});

describe("Listing Referrers: the artifactType filter", () => {
  test("gives those of the type alone, and says that it was applied", async () => {
    const repository = newRepository(registry);
    const subject = await repository.pushImage("v1");
    const types = ["application/vnd.example.sbom", "application/vnd.example.signature"];
    for (const artifactType of types)
      await repository.pushImage(undefined, { subject, artifactType });
    await repository.pushImage(undefined, { subject });
    await repository.pushIndex([], undefined, { subject });
    for (const type of [...types, OCI_IMAGE_CONFIG]) {
      const query = `?artifactType=${encodeURIComponent(type)}`;
      const found = await referrersOf(repository, subject.digest, query);
      expect(found.map((descriptor) => descriptor["artifactType"])).toEqual([type]);
      const response = await repository.fetch(`referrers/${subject.digest}${query}`);
      expect(response.headers.get("oci-filters-applied")).toBe("artifactType");
      await response.arrayBuffer();
    }
    expect(await referrersOf(repository, subject.digest)).toHaveLength(4);
  });

  test("gives an empty list for a type that nothing has", async () => {
    const repository = newRepository(registry);
    const subject = await repository.pushImage("v1");
    await repository.pushImage(undefined, { subject });
    const response = await repository.fetch(`referrers/${subject.digest}?artifactType=a/b`);
    expect(response.headers.get("oci-filters-applied")).toBe("artifactType");
    expect(await response.json()).toMatchObject({ manifests: [] });
    expect(await referrersOf(newRepository(registry), subject.digest, "?artifactType=a/b")).toEqual(
      [],
    );
  });

  test("isn't said to be applied when it wasn't asked for", async () => {
    const repository = newRepository(registry);
    const { digest } = await repository.pushImage("v1");
    const response = await repository.fetch(`referrers/${digest}?other=x`);
    expect(response.headers.has("oci-filters-applied")).toBe(false);
    await response.arrayBuffer();
  });

  test("takes a type with a plus, percent-encoded and as it is typed", async () => {
    const repository = newRepository(registry);
    const subject = await repository.pushImage("v1");
    const artifactType = "application/vnd.example+json";
    await repository.pushImage(undefined, { subject, artifactType });
    const encoded = `?artifactType=${encodeURIComponent(artifactType)}`;
    expect(await referrersOf(repository, subject.digest, encoded)).toHaveLength(1);
    // In a query a plus isn't a space for RFC 3986, which Go's and curl's users rely on.
    expect(
      await referrersOf(repository, subject.digest, `?artifactType=${artifactType}`),
    ).toHaveLength(1);
  });
});

test("Listing Referrers: a list too large for one manifest comes in pages with Link, filter included", async () => {
  const repository = newRepository(registry);
  const subject = await repository.pushImage("v1");
  const image = await repository.newImage({ subject, artifactType: "application/vnd.example+x" });
  const pushed: string[] = [];
  for (let i = 0; i < 7; i++) {
    const annotations = { pad: "x".repeat(1_200_000), i: String(i) };
    pushed.push((await repository.pushManifest({ ...image, annotations })).digest);
  }
  for (const query of ["", "?artifactType=application%2Fvnd.example%2Bx"]) {
    const found: string[] = [];
    let pages = 0;
    for (
      let url: string | undefined = repository.url(`referrers/${subject.digest}${query}`);
      url;
    ) {
      const response: Response = await fetch(url);
      expect(response.status).toBe(200);
      expect(response.headers.get("content-type")).toBe(OCI_IMAGE_INDEX);
      expect(response.headers.has("oci-filters-applied")).toBe(query !== "");
      const text = await response.text();
      expect(text.length).toBeLessThan(4_000_000);
      const index = JSON.parse(text) as { manifests: TestDescriptor[] };
      expect(index.manifests).not.toBeEmpty();
      found.push(...index.manifests.map((descriptor) => descriptor.digest));
      url = nextPage(response);
      pages += 1;
    }
    expect(pages).toBeGreaterThan(1);
    expect(found.sort()).toEqual([...pushed].sort());
  }
});

describe("Enabling the Referrers API", () => {
  test("referrers that a client listed under the fallback tag are listed", async () => {
    const repository = newRepository(registry);
    const subject = await repository.pushImage("v1");
    const referrer = await repository.pushImage(undefined, { subject });
    const entry = { ...referrer, artifactType: OCI_IMAGE_CONFIG };
    await repository.pushIndex([entry], referrersTag(subject.digest));
    expect(await referrersOf(repository, subject.digest)).toEqual([entry]);
  });

  test("an entry of the fallback tag that isn't there, or has another subject, isn't listed", async () => {
    const repository = newRepository(registry);
    const subject = await repository.pushImage("v1");
    const other = await repository.pushImage("other");
    await repository.pushIndex(
      [descriptorOf("nowhere", OCI_IMAGE_MANIFEST), other],
      referrersTag(subject.digest),
    );
    expect(await referrersOf(repository, subject.digest)).toEqual([]);
  });

  test("the fallback tag stays a tag, which can be pulled and deleted", async () => {
    const repository = newRepository(registry);
    const subject = await repository.pushImage("v1");
    const tag = referrersTag(subject.digest as Digest);
    await repository.pushIndex([], tag);
    expect(await repository.tags()).toEqual([tag, "v1"].sort());
    expect((await repository.fetch(`manifests/${tag}`, { method: "DELETE" })).status).toBe(202);
    expect(await repository.tags()).toEqual(["v1"]);
  });

  test("referrers are found again when the registry is started anew over its data", async () => {
    const first = await startTestRegistry();
    const repository = newRepository(first);
    const subject = await repository.pushImage("v1");
    const referrer = await repository.pushImage(undefined, { subject });
    await first.stop();
    const second = await startTestRegistry({ root: first.root });
    try {
      const again = Object.assign(newRepository(second), { name: repository.name });
      const found = await referrersOf(again, subject.digest);
      expect(found.map((descriptor) => descriptor.digest)).toEqual([referrer.digest]);
    } finally {
      await second.stop();
    }
  });
});
