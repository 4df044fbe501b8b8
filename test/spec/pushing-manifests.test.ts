import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { digestOf } from "../../src/oci/digest.ts";
import {
  DOCKER_MANIFEST,
  DOCKER_MANIFEST_SCHEMA1,
  OCI_ARTIFACT_MANIFEST,
  OCI_IMAGE_CONFIG,
  OCI_IMAGE_INDEX,
  OCI_IMAGE_MANIFEST,
  OCI_LAYER,
} from "../../src/oci/media-types.ts";
import { startTestRegistry, type TestRegistry } from "../support/registry.ts";
import { descriptorOf, expectError, locationOf, newContent, newRepository } from "./repository.ts";

let registry: TestRegistry;
beforeAll(async () => {
  registry = await startTestRegistry();
});
afterAll(() => registry.stop());

describe("Pushing Manifests", () => {
  test("by tag is 201, with the digest and a Location at which the manifest is pulled", async () => {
    const repository = newRepository(registry);
    const body = JSON.stringify(await repository.newImage());
    const response = await repository.putManifest("v1", body);
    expect(response.status).toBe(201);
    expect(response.headers.get("docker-content-digest")).toBe(digestOf(body));
    const location = response.headers.get("location") ?? "";
    expect(location).toStartWith("/v2/");
    const pulled = await fetch(locationOf(response, registry.url));
    expect(await pulled.text()).toBe(body);
    expect(await repository.tags()).toEqual(["v1"]);
  });

  test("by digest is 201 and makes no tag", async () => {
    const repository = newRepository(registry);
    const body = JSON.stringify(await repository.newImage());
    for (const algorithm of ["sha256", "sha512"]) {
      const digest = digestOf(body, algorithm);
      const response = await repository.putManifest(digest, body);
      expect(response.status).toBe(201);
      expect(response.headers.get("docker-content-digest")).toBe(digest);
      expect(await repository.hasManifest(digest)).toBe(true);
    }
    expect(await repository.tags()).toEqual([]);
  });

  test("stores exactly the bytes that came, however they are written", async () => {
    const repository = newRepository(registry);
    const image = await repository.newImage({ "org.example.unknown": { b: 1, a: [1.0, null] } });
    for (const body of [
      JSON.stringify(image),
      `\n\t ${JSON.stringify(image, null, 7)} \r\n`,
      JSON.stringify(image).replace('"schemaVersion":2', '"schemaVersion" : 2.0'),
      JSON.stringify({ ...image, annotations: { "\u2028": "\ud83d\ude00" } }),
    ]) {
      expect((await repository.putManifest("v1", body)).status).toBe(201);
      expect(await (await repository.fetch("manifests/v1")).text()).toBe(body);
      expect(await (await repository.fetch(`manifests/${digestOf(body)}`)).text()).toBe(body);
    }
  });

  test("moves a tag that is there, and leaves what it meant before", async () => {
    const repository = newRepository(registry);
    const first = await repository.pushImage("latest");
    const second = await repository.pushImage("latest");
    const response = await repository.fetch("manifests/latest");
    expect(response.headers.get("docker-content-digest")).toBe(second.digest);
    await response.arrayBuffer();
    expect(await repository.hasManifest(first.digest)).toBe(true);
    expect(await repository.tags()).toEqual(["latest"]);
  });

  test("of the same manifest again, under the same tag and under another, is 201", async () => {
    const repository = newRepository(registry);
    const image = await repository.newImage();
    for (const tag of ["a", "a", "b"]) await repository.pushManifest(image, tag);
    expect(await repository.tags()).toEqual(["a", "b"]);
  });

  test("under one tag by twenty clients at once leaves the manifest of one of them", async () => {
    const repository = newRepository(registry);
    const image = await repository.newImage();
    const pushed = await Promise.all(
      Array.from({ length: 20 }, (_, i) =>
        repository.pushManifest({ ...image, annotations: { i: String(i) } }, "latest"),
      ),
    );
    const response = await repository.fetch("manifests/latest");
    const digest = response.headers.get("docker-content-digest");
    expect(digestOf(await response.text())).toBe(digest as never);
    expect(pushed.map((descriptor) => descriptor.digest as string)).toContain(digest as string);
  });

  test("of an image without layers, with an empty layer, and with one layer twice is 201", async () => {
    const repository = newRepository(registry);
    const image = await repository.newImage();
    const empty = await repository.pushBlob("");
    const [layer] = image["layers"] as object[];
    for (const layers of [[], [descriptorOf("", OCI_LAYER)], [layer, layer]]) {
      expect((await repository.putManifest("v1", { ...image, layers })).status).toBe(201);
    }
    expect(await repository.hasBlob(empty)).toBe(true);
  });

  test("of layers that lie elsewhere, by licence or by URL, is 201 without them", async () => {
    const repository = newRepository(registry);
    const image = await repository.newImage();
    const foreign = descriptorOf(
      newContent(),
      "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip",
    );
    const linked = {
      ...descriptorOf(newContent(), OCI_LAYER),
      urls: ["https://example.com/layer"],
    };
    expect(
      (await repository.putManifest("v1", { ...image, layers: [foreign, linked] })).status,
    ).toBe(201);
  });

  test("of an artifact with an empty config, and of a deprecated artifact manifest, is 201", async () => {
    const repository = newRepository(registry);
    const empty = descriptorOf("{}", "application/vnd.oci.empty.v1+json");
    await repository.pushBlob("{}");
    const artifact = {
      schemaVersion: 2,
      mediaType: OCI_IMAGE_MANIFEST,
      artifactType: "application/vnd.example",
      config: empty,
      layers: [empty],
    };
    expect((await repository.putManifest("artifact", artifact)).status).toBe(201);
    const deprecated = { mediaType: OCI_ARTIFACT_MANIFEST, blobs: [empty] };
    expect((await repository.putManifest("deprecated", deprecated)).status).toBe(201);
  });

  test("of an empty index and of an index of indexes is 201", async () => {
    const repository = newRepository(registry);
    const inner = await repository.pushIndex([], "inner");
    const outer = await repository.pushIndex([inner], "outer");
    expect(await repository.hasManifest(outer.digest)).toBe(true);
  });

  test("ignores parameters of the Content-Type", async () => {
    const repository = newRepository(registry);
    const headers = { "content-type": `${OCI_IMAGE_MANIFEST};charset=utf-8` };
    const response = await repository.putManifest("v1", await repository.newImage(), headers);
    expect(response.status).toBe(201);
  });

  test("into a repository of many components, and into one inside another, is 201", async () => {
    const parent = newRepository(registry);
    await parent.pushImage("v1");
    const child = Object.assign(newRepository(registry), { name: `${parent.name}/a/b-c/d__e/f.g` });
    await child.pushImage("v1");
    expect(await parent.tags()).toEqual(["v1"]);
    expect(await child.tags()).toEqual(["v1"]);
  });

  test.each([
    "blobs/uploads",
    "tags/list",
    "manifests/x",
    "v2",
    "a/referrers/b",
    "list/tags",
    "catalog",
  ])("into the repository %s, which looks like an endpoint, is 201", async (name) => {
    const repository = Object.assign(newRepository(registry), { name });
    await repository.pushImage("v1");
    expect(await repository.tags()).toContain("v1");
    expect(await repository.hasManifest("v1")).toBe(true);
  });
});

describe("Pushing Manifests that are invalid is 400 with MANIFEST_INVALID, and stores nothing", () => {
  const invalid: [string, string | Uint8Array, string?][] = [
    ["nothing", ""],
    ["no JSON", "nonsense"],
    ["a cut manifest", '{"schemaVersion":2,"config":{'],
    ["a JSON list", "[]"],
    ["null", "null"],
    ["an empty object", "{}"],
    ["bytes that aren't text", new Uint8Array([0xff, 0xfe, 0x00])],
    [
      "an image without config and layers",
      JSON.stringify({ schemaVersion: 2, mediaType: OCI_IMAGE_MANIFEST }),
    ],
    [
      "a layer whose digest isn't one",
      JSON.stringify({
        schemaVersion: 2,
        mediaType: OCI_IMAGE_MANIFEST,
        config: descriptorOf("{}", OCI_IMAGE_CONFIG),
        layers: [{ mediaType: OCI_LAYER, size: 1, digest: "sha256:../../../etc/passwd" }],
      }),
    ],
    [
      "a layer of a negative size",
      JSON.stringify({
        schemaVersion: 2,
        mediaType: OCI_IMAGE_MANIFEST,
        config: descriptorOf("{}", OCI_IMAGE_CONFIG),
        layers: [{ ...descriptorOf("x", OCI_LAYER), size: -1 }],
      }),
    ],
    [
      "an index without manifests",
      JSON.stringify({ schemaVersion: 2, mediaType: OCI_IMAGE_INDEX }),
      OCI_IMAGE_INDEX,
    ],
    [
      "both an image and an index (CVE-2021-41190)",
      JSON.stringify({
        schemaVersion: 2,
        config: descriptorOf("{}", OCI_IMAGE_CONFIG),
        layers: [],
        manifests: [],
      }),
    ],
    [
      "a mediaType that isn't the Content-Type",
      JSON.stringify({ schemaVersion: 2, mediaType: OCI_IMAGE_INDEX, manifests: [] }),
      OCI_IMAGE_MANIFEST,
    ],
    [
      "a duplicate mediaType",
      `{"mediaType":"${OCI_IMAGE_MANIFEST}","schemaVersion":2,"manifests":[],"mediaType":"${OCI_IMAGE_INDEX}"}`,
      OCI_IMAGE_INDEX,
    ],
    ["Docker schema 1", '{"schemaVersion":1,"fsLayers":[],"history":[]}', DOCKER_MANIFEST_SCHEMA1],
    ["a Content-Type that isn't a media type", "{}", "nonsense"],
    ["nesting without end", "[".repeat(1_000_000)],
  ];
  test.each(invalid)("%s", async (_, body, type = OCI_IMAGE_MANIFEST) => {
    const repository = newRepository(registry);
    await repository.pushBlob("{}");
    for (const reference of ["v1", digestOf(body)]) {
      const response = await repository.putManifest(reference, body, { "content-type": type });
      await expectError(response, 400, "MANIFEST_INVALID");
      expect(await repository.hasManifest(reference)).toBe(false);
    }
    expect(await repository.hasManifest(digestOf(body))).toBe(false);
    expect((await repository.fetch("tags/list")).status).toBe(404);
  });

  test("a tag that isn't one", async () => {
    const repository = newRepository(registry);
    const image = await repository.newImage();
    for (const tag of ["-a", ".a", "a%20b", "t".repeat(129), "a%2fb", "%2e%2e%2fx"]) {
      await expectError(await repository.putManifest(tag, image), [400, 404], "MANIFEST_INVALID");
    }
    expect((await repository.fetch("tags/list")).status).toBe(404);
  });

  test("a digest that isn't that of the manifest is 400 with DIGEST_INVALID", async () => {
    const repository = newRepository(registry);
    const image = await repository.newImage();
    for (const digest of [
      digestOf("other"),
      digestOf("other", "sha512"),
      "sha256:abc",
      `md5:${"0".repeat(32)}`,
    ]) {
      await expectError(await repository.putManifest(digest, image), 400, "DIGEST_INVALID");
      expect(await repository.hasManifest(digest)).toBe(false);
    }
    expect(await repository.hasManifest(digestOf(JSON.stringify(image)))).toBe(false);
  });
});

describe("Pushing Manifests that name content that isn't here", () => {
  test("an image whose config or layer is missing is MANIFEST_BLOB_UNKNOWN, and isn't stored", async () => {
    const repository = newRepository(registry);
    const image = await repository.newImage();
    for (const missing of [
      { layers: [descriptorOf("missing", OCI_LAYER)] },
      { config: descriptorOf("missing", OCI_IMAGE_CONFIG) },
    ]) {
      const response = await repository.putManifest("v1", { ...image, ...missing });
      await expectError(response, [400, 404], "MANIFEST_BLOB_UNKNOWN");
      expect(await repository.hasManifest("v1")).toBe(false);
    }
  });

  test("a layer that is only in another repository is missing", async () => {
    const repository = newRepository(registry);
    const image = await newRepository(registry).newImage();
    const response = await repository.putManifest("v1", image);
    await expectError(response, [400, 404], "MANIFEST_BLOB_UNKNOWN");
  });

  test("a layer of an algorithm that isn't known is missing", async () => {
    const repository = newRepository(registry);
    const image = await repository.newImage();
    const layers = [{ ...descriptorOf("x", OCI_LAYER), digest: "blake3:abcdef" }];
    const response = await repository.putManifest("v1", { ...image, layers });
    await expectError(response, [400, 404], "MANIFEST_BLOB_UNKNOWN", "DIGEST_INVALID");
  });
});

describe("Pushing Manifests: the limit of their size", () => {
  const padded = (image: object, size: number) => {
    const body = JSON.stringify({ ...image, annotations: { pad: "" } });
    return body.replace('"pad":""', `"pad":"${"x".repeat(size - body.length)}"`);
  };

  test("4 MB and 4 MiB are accepted, by tag and by digest", async () => {
    const repository = newRepository(registry);
    const image = await repository.newImage();
    for (const size of [4_000_000, 4 * 1024 * 1024]) {
      const body = padded(image, size);
      expect(body).toHaveLength(size);
      expect((await repository.putManifest("large", body)).status).toBe(201);
      expect((await repository.putManifest(digestOf(body), body)).status).toBe(201);
      expect(await (await repository.fetch("manifests/large")).text()).toBe(body);
    }
  });

  test("5 MB is 413, with and without a Content-Length, and nothing is stored", async () => {
    const repository = newRepository(registry);
    const body = padded(await repository.newImage(), 5_000_000);
    for (const reference of ["v1", digestOf(body)]) {
      await expectError(await repository.putManifest(reference, body), 413);
      const streamed = await repository.fetch(`manifests/${reference}`, {
        method: "PUT",
        body: new Blob([body]).stream(),
        headers: { "content-type": OCI_IMAGE_MANIFEST },
      });
      await expectError(streamed, 413);
      expect(await repository.hasManifest(reference)).toBe(false);
    }
  });

  test("the limit can be set", async () => {
    const small = await startTestRegistry({ maxManifestSize: 2000 });
    try {
      const repository = newRepository(small);
      const image = await repository.newImage();
      expect((await repository.putManifest("v1", padded(image, 2000))).status).toBe(201);
      await expectError(await repository.putManifest("v2", padded(image, 2001)), 413);
    } finally {
      await small.stop();
    }
  });
});

describe("Pushing Manifests with tag parameters (end-7b)", () => {
  test("sets each tag, and names it in OCI-Tag", async () => {
    const repository = newRepository(registry);
    const body = JSON.stringify(await repository.newImage());
    const response = await repository.putManifest(
      `${digestOf(body)}?tag=1.2.3&tag=1.2&tag=1&tag=latest`,
      body,
    );
    expect(response.status).toBe(201);
    const accepted = response.headers.get("oci-tag")?.split(/, */);
    expect(accepted?.sort()).toEqual(["1", "1.2", "1.2.3", "latest"]);
    expect(await repository.tags()).toEqual(["1", "1.2", "1.2.3", "latest"]);
    for (const tag of ["1", "latest"]) {
      expect(await (await repository.fetch(`manifests/${tag}`)).text()).toBe(body);
    }
  });

  test("accepts at least 10, by sha512 too", async () => {
    const repository = newRepository(registry);
    const body = JSON.stringify(await repository.newImage());
    const tags = Array.from({ length: 10 }, (_, i) => `tag-${i}`);
    const query = tags.map((tag) => `tag=${tag}`).join("&");
    const response = await repository.putManifest(`${digestOf(body, "sha512")}?${query}`, body);
    expect(response.status).toBe(201);
    expect(response.headers.get("oci-tag")?.split(/, */).sort()).toEqual(tags);
    expect(await repository.tags()).toEqual(tags);
  });

  test("names a tag once that was given twice", async () => {
    const repository = newRepository(registry);
    const body = JSON.stringify(await repository.newImage());
    const response = await repository.putManifest(`${digestOf(body)}?tag=a&tag=a`, body);
    expect(response.headers.get("oci-tag")).toBe("a");
  });

  test("too many are 414, and nothing is stored", async () => {
    const repository = newRepository(registry);
    const body = JSON.stringify(await repository.newImage());
    const query = Array.from({ length: 1000 }, (_, i) => `tag=t${i}`).join("&");
    await expectError(await repository.putManifest(`${digestOf(body)}?${query}`, body), 414);
    expect(await repository.hasManifest(digestOf(body))).toBe(false);
  });

  test.each(["-a", "", "a%2fb", "..%2fx", "t".repeat(129)])(
    "the tag %j isn't one: 400, and nothing is stored",
    async (tag) => {
      const repository = newRepository(registry);
      const body = JSON.stringify(await repository.newImage());
      const reference = `${digestOf(body)}?tag=good&tag=${tag}`;
      await expectError(await repository.putManifest(reference, body), 400, "MANIFEST_INVALID");
      expect(await repository.hasManifest(digestOf(body))).toBe(false);
      expect(await repository.hasManifest("good")).toBe(false);
    },
  );

  test("no OCI-Tag stands in the answer to a push without them", async () => {
    const repository = newRepository(registry);
    const image = await repository.newImage();
    const digest = digestOf(JSON.stringify(image));
    for (const reference of ["v1", digest]) {
      const response = await repository.putManifest(reference, image);
      expect(response.headers.has("oci-tag")).toBe(false);
    }
  });
});

describe("Pushing Manifests with Subject", () => {
  test("is answered with OCI-Subject, whether the subject is here or not", async () => {
    const repository = newRepository(registry);
    const here = await repository.pushImage("v1");
    const nowhere = descriptorOf("nowhere", OCI_IMAGE_MANIFEST);
    const sha512 = { ...nowhere, digest: digestOf("nowhere", "sha512") };
    for (const subject of [here, nowhere, sha512]) {
      const image = await repository.newImage({ subject });
      const response = await repository.putManifest(digestOf(JSON.stringify(image)), image);
      expect(response.status).toBe(201);
      expect(response.headers.get("oci-subject")).toBe(subject.digest);
    }
  });

  test("is answered with OCI-Subject for an index and a deprecated artifact, too", async () => {
    const repository = newRepository(registry);
    const subject = descriptorOf("nowhere", OCI_IMAGE_MANIFEST);
    for (const manifest of [
      { schemaVersion: 2, mediaType: OCI_IMAGE_INDEX, manifests: [], subject },
      { mediaType: OCI_ARTIFACT_MANIFEST, subject },
    ]) {
      const response = await repository.putManifest("v1", manifest);
      expect(response.status).toBe(201);
      expect(response.headers.get("oci-subject")).toBe(subject.digest);
    }
  });

  test("no OCI-Subject stands in the answer to a push without one", async () => {
    const repository = newRepository(registry);
    const response = await repository.putManifest("v1", await repository.newImage());
    expect(response.headers.has("oci-subject")).toBe(false);
  });

  test("a subject that isn't a descriptor is 400 with MANIFEST_INVALID", async () => {
    const repository = newRepository(registry);
    for (const subject of ["sha256:abc", {}, [], { ...descriptorOf("x", OCI_LAYER), size: -1 }]) {
      const image = await repository.newImage({ subject });
      await expectError(await repository.putManifest("v1", image), 400, "MANIFEST_INVALID");
    }
  });

  test("a Docker manifest may have one as well", async () => {
    const repository = newRepository(registry);
    const subject = descriptorOf("nowhere", OCI_IMAGE_MANIFEST);
    const image = { ...(await repository.newImage({ subject })), mediaType: DOCKER_MANIFEST };
    expect((await repository.putManifest("v1", image)).status).toBe(201);
  });
});
