import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { digestOf } from "../../src/oci/digest.ts";
import { startTestRegistry, type TestRegistry } from "../support/registry.ts";
import {
  expectError,
  locationOf,
  newContent,
  newRepository,
  TestRepository,
  Upload,
} from "./repository.ts";

let registry: TestRegistry;
beforeAll(async () => {
  registry = await startTestRegistry();
});
afterAll(() => registry.stop());

const remove = (repository: TestRepository, path: string) =>
  repository.fetch(path, { method: "DELETE" });

describe("Deleting tags", () => {
  test("is 202, and then a GET of the tag is 404", async () => {
    const repository = newRepository(registry);
    await repository.pushImage("v1");
    const response = await remove(repository, "manifests/v1");
    expect(response.status).toBe(202);
    expect(await response.text()).toBe("");
    await expectError(await repository.fetch("manifests/v1"), 404, "MANIFEST_UNKNOWN");
    expect(await repository.tags()).toEqual([]);
  });

  test("leaves the manifest and its other tags", async () => {
    const repository = newRepository(registry);
    const image = await repository.newImage();
    const { digest } = await repository.pushManifest(image, "v1");
    await repository.pushManifest(image, "v2");
    await remove(repository, "manifests/v1");
    expect(await repository.hasManifest(digest)).toBe(true);
    expect(await repository.tags()).toEqual(["v2"]);
  });

  test("that aren't there, or in an unknown repository, is 404", async () => {
    const repository = newRepository(registry);
    await repository.pushImage("v1");
    await expectError(await remove(repository, "manifests/v2"), 404, "MANIFEST_UNKNOWN");
    await remove(repository, "manifests/v1");
    await expectError(await remove(repository, "manifests/v1"), 404, "MANIFEST_UNKNOWN");
    await expectError(
      await remove(newRepository(registry), "manifests/v1"),
      404,
      "MANIFEST_UNKNOWN",
      "NAME_UNKNOWN",
    );
  });

  test("lets them be pushed again", async () => {
    const repository = newRepository(registry);
    await repository.pushImage("v1");
    await remove(repository, "manifests/v1");
    const { digest } = await repository.pushImage("v1");
    const response = await repository.fetch("manifests/v1");
    expect(response.headers.get("docker-content-digest")).toBe(digest);
    await response.arrayBuffer();
  });
});

describe("Deleting Manifests", () => {
  test("is 202, and then a GET by digest and by any tag of it is 404", async () => {
    const repository = newRepository(registry);
    const image = await repository.newImage();
    const { digest } = await repository.pushManifest(image, "v1");
    await repository.pushManifest(image, "v2");
    await repository.pushImage("other");
    const response = await remove(repository, `manifests/${digest}`);
    expect(response.status).toBe(202);
    for (const reference of [digest, "v1", "v2"]) {
      await expectError(await repository.fetch(`manifests/${reference}`), 404, "MANIFEST_UNKNOWN");
    }
    expect(await repository.tags()).toEqual(["other"]);
  });

  test("by a sha512 digest is 202", async () => {
    const repository = newRepository(registry);
    const body = JSON.stringify(await repository.newImage());
    const digest = digestOf(body, "sha512");
    expect((await repository.putManifest(`${digest}?tag=v1`, body)).status).toBe(201);
    expect((await remove(repository, `manifests/${digest}`)).status).toBe(202);
    expect(await repository.hasManifest(digest)).toBe(false);
    expect(await repository.tags()).toEqual([]);
  });

  test("leaves blobs, and manifests that an index names", async () => {
    const repository = newRepository(registry);
    const image = await repository.newImage();
    const child = await repository.pushManifest(image);
    const index = await repository.pushIndex([child], "v1");
    await remove(repository, `manifests/${index.digest}`);
    expect(await repository.hasManifest(child.digest)).toBe(true);
    await remove(repository, `manifests/${child.digest}`);
    expect(await repository.hasBlob((image["config"] as { digest: string }).digest)).toBe(true);
  });

  test("leaves the same manifest in another repository", async () => {
    const [here, there] = [newRepository(registry), newRepository(registry)];
    const { digest } = await here.pushIndex([], "v1");
    await there.pushIndex([], "v1");
    await remove(here, `manifests/${digest}`);
    expect(await there.hasManifest("v1")).toBe(true);
  });

  test("that aren't there, or in an unknown repository, is 404", async () => {
    const repository = newRepository(registry);
    const { digest } = await repository.pushImage("v1");
    for (const unknown of [digestOf("unknown"), digestOf("unknown", "sha512")]) {
      await expectError(await remove(repository, `manifests/${unknown}`), 404, "MANIFEST_UNKNOWN");
    }
    expect((await remove(repository, `manifests/${digest}`)).status).toBe(202);
    await expectError(await remove(repository, `manifests/${digest}`), 404, "MANIFEST_UNKNOWN");
    const nowhere = await remove(newRepository(registry), `manifests/${digest}`);
    await expectError(nowhere, 404, "MANIFEST_UNKNOWN", "NAME_UNKNOWN");
  });

  test("lets them be pushed again", async () => {
    const repository = newRepository(registry);
    const image = await repository.newImage();
    const { digest } = await repository.pushManifest(image, "v1");
    await remove(repository, `manifests/${digest}`);
    await repository.pushManifest(image, "v1");
    expect(await repository.hasManifest(digest)).toBe(true);
    expect(await repository.hasManifest("v1")).toBe(true);
  });

  test("by what isn't a digest or tag is 400 or 404", async () => {
    const repository = newRepository(registry);
    await repository.pushImage("v1");
    for (const reference of ["sha256:abc", "-a", "..%2fv1", "%2e%2e"]) {
      await expectError(await remove(repository, `manifests/${reference}`), [400, 404, 405]);
    }
    expect(await repository.tags()).toEqual(["v1"]);
  });
});

describe("Deleting Blobs", () => {
  test("is 202, and then a GET and a HEAD are 404", async () => {
    const repository = newRepository(registry);
    for (const algorithm of ["sha256", "sha512"]) {
      const digest = await repository.pushBlob(newContent(), algorithm);
      const response = await remove(repository, `blobs/${digest}`);
      expect(response.status).toBe(202);
      await expectError(await repository.fetch(`blobs/${digest}`), 404, "BLOB_UNKNOWN");
      expect(await repository.hasBlob(digest)).toBe(false);
    }
  });

  test("leaves the same blob in another repository", async () => {
    const [here, there] = [newRepository(registry), newRepository(registry)];
    const content = newContent();
    const digest = await here.pushBlob(content);
    await there.pushBlob(content);
    await remove(here, `blobs/${digest}`);
    expect(await here.hasBlob(digest)).toBe(false);
    const response = await there.fetch(`blobs/${digest}`);
    expect(await response.bytes()).toEqual(content);
  });

  test("that aren't there, or in an unknown repository, is 404 with BLOB_UNKNOWN", async () => {
    const repository = newRepository(registry);
    const digest = await repository.pushBlob(newContent());
    await expectError(
      await remove(repository, `blobs/${digestOf("unknown")}`),
      404,
      "BLOB_UNKNOWN",
    );
    expect((await remove(repository, `blobs/${digest}`)).status).toBe(202);
    await expectError(await remove(repository, `blobs/${digest}`), 404, "BLOB_UNKNOWN");
    const nowhere = await remove(newRepository(registry), `blobs/${digest}`);
    await expectError(nowhere, 404, "BLOB_UNKNOWN", "NAME_UNKNOWN");
  });

  test("lets them be pushed again", async () => {
    const repository = newRepository(registry);
    const content = newContent();
    const digest = await repository.pushBlob(content);
    await remove(repository, `blobs/${digest}`);
    await repository.pushBlob(content);
    expect(await repository.hasBlob(digest)).toBe(true);
  });

  test("by what isn't a digest is 400 with DIGEST_INVALID", async () => {
    const repository = newRepository(registry);
    await repository.pushBlob("x");
    for (const digest of ["sha256:abc", "nonsense", "..%2f..%2f.."]) {
      await expectError(await remove(repository, `blobs/${digest}`), 400, "DIGEST_INVALID");
    }
  });
});

describe("Content Management: --no-delete", () => {
  test("makes deleting tags, manifests and blobs 400 or 405, and they stay; uploads can be cancelled", async () => {
    const kept = await startTestRegistry({ allowDelete: false });
    try {
      const repository = newRepository(kept);
      const { digest } = await repository.pushImage("v1");
      const blob = await repository.pushBlob("x");
      for (const path of ["manifests/v1", `manifests/${digest}`, `blobs/${blob}`, "manifests/v2"]) {
        await expectError(await remove(repository, path), [400, 405], "UNSUPPORTED");
      }
      expect(await repository.hasManifest("v1")).toBe(true);
      expect(await repository.hasManifest(digest)).toBe(true);
      expect(await repository.hasBlob(blob)).toBe(true);
      expect((await (await repository.startUpload()).cancel()).status).toBe(204);
    } finally {
      await kept.stop();
    }
  });
});

describe("Content Management: --read-only", () => {
  test("serves what is there, and refuses everything that would change it", async () => {
    const writable = await startTestRegistry();
    const source = newRepository(writable);
    const { digest } = await source.pushImage("v1");
    const blob = await source.pushBlob("x");
    const upload = await source.startUpload();
    await writable.stop();

    const readOnly = await startTestRegistry({ root: writable.root, readOnly: true });
    try {
      const repository = new TestRepository(readOnly.url, source.name);
      expect(await repository.hasManifest("v1")).toBe(true);
      expect(await (await repository.fetch(`blobs/${blob}`)).text()).toBe("x");
      expect(await repository.tags()).toEqual(["v1"]);
      const session = new Upload(repository, upload.location.replace(writable.url, readOnly.url));
      const writes: Promise<Response>[] = [
        repository.fetch("blobs/uploads/", { method: "POST" }),
        repository.fetch(`blobs/uploads/?digest=${digestOf("y")}`, { method: "POST", body: "y" }),
        repository.fetch(`blobs/uploads/?mount=${blob}&from=${source.name}`, { method: "POST" }),
        session.patch("y"),
        session.put(digestOf("y"), "y"),
        session.cancel(),
        repository.putManifest("v2", { schemaVersion: 2 }),
        remove(repository, "manifests/v1"),
        remove(repository, `manifests/${digest}`),
        remove(repository, `blobs/${blob}`),
      ];
      for (const response of await Promise.all(writes)) {
        await expectError(response, [400, 403, 405], "UNSUPPORTED", "DENIED");
      }
      expect(await repository.hasBlob(digestOf("y"))).toBe(false);
      expect(await repository.tags()).toEqual(["v1"]);
    } finally {
      await readOnly.stop();
    }
  });
});

test("Deleting Blobs: a blob that was mounted stays where it was mounted to", async () => {
  const [source, target] = [newRepository(registry), newRepository(registry)];
  const digest = await source.pushBlob(newContent());
  const mounted = await target.fetch(`blobs/uploads/?mount=${digest}&from=${source.name}`, {
    method: "POST",
  });
  expect((await fetch(locationOf(mounted, registry.url))).status).toBe(200);
  await remove(target, `blobs/${digest}`);
  expect(await target.hasBlob(digest)).toBe(false);
  expect(await source.hasBlob(digest)).toBe(true);
});
