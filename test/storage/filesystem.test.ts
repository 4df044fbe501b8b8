import { describe, expect, test } from "bun:test";
import { existsSync, readdirSync } from "node:fs";
import { appendFile, mkdir, readFile, rm, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import fc from "fast-check";
import { algorithmOf, type Digest, digestOf, encodedOf } from "../../src/oci/digest.ts";
import { OCI_IMAGE_INDEX, OCI_IMAGE_MANIFEST } from "../../src/oci/media-types.ts";
import { openFilesystemStore } from "../../src/storage/filesystem/store.ts";
import { temporaryDirectory } from "../support/temp.ts";
import { body, codeOf, describeStore, imageManifest, pushBlob, readBlob } from "./behaviour.ts";

describeStore("filesystem", () => openFilesystemStore(temporaryDirectory()));

const v2 = "docker/registry/v2";
const hexPath = (digest: Digest) => `${algorithmOf(digest)}/${encodedOf(digest)}`;
const sparse = "image" as const;

/** Every file below a directory, by its path from there. */
function filesBelow(directory: string): string[] {
  return readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(directory.length + 1))
    .sort();
}

describe("filesystem: layout", () => {
  test("everything lies where registry:2 puts it", async () => {
    const root = temporaryDirectory();
    const store = await openFilesystemStore(root);
    const config = await pushBlob(store, "a/b", "{}");
    const bytes = imageManifest([]);
    const { digest } = await store.putManifest("a/b", { bytes, tags: ["v1"], sparse: "none" });
    const data = (d: Digest) =>
      `blobs/${algorithmOf(d)}/${encodedOf(d).slice(0, 2)}/${encodedOf(d)}/data`;
    expect(filesBelow(join(root, v2))).toEqual(
      [
        data(config),
        data(digest),
        `repositories/a/b/_layers/${hexPath(config)}/link`,
        `repositories/a/b/_manifests/revisions/${hexPath(digest)}/link`,
        "repositories/a/b/_manifests/tags/v1/current/link",
        `repositories/a/b/_manifests/tags/v1/index/${hexPath(digest)}/link`,
      ].sort(),
    );
    const link = join(root, v2, "repositories/a/b/_manifests/tags/v1/current/link");
    expect(await readFile(link, "utf8")).toBe(digest);
  });

  test("nothing is left behind: no session, no temporary file, no directory under tags", async () => {
    const root = temporaryDirectory();
    const store = await openFilesystemStore(root);
    await pushBlob(store, "a", "content");
    const { digest } = await store.putManifest("a", {
      bytes: imageManifest([]),
      tags: ["v1", "v2"],
      sparse,
    });
    await store.deleteManifest("a", digest);
    expect(readdirSync(join(root, v2, "repositories/a/_uploads"))).toEqual([]);
    expect(readdirSync(join(root, v2, "repositories/a/_manifests/tags"))).toEqual([]);
    expect(readdirSync(join(root, ".ocireg/tmp"))).toEqual([]);
  });

  test("what a link says counts, not its name: a sha512 name may lead to a sha256 blob", async () => {
    const root = temporaryDirectory();
    const store = await openFilesystemStore(root);
    const digest = await pushBlob(store, "a", "content");
    const alias = digestOf("content", "sha512");
    const directory = join(root, v2, "repositories/a/_layers", hexPath(alias));
    await mkdir(directory, { recursive: true });
    await writeFile(join(directory, "link"), digest);
    const blob = await store.openBlob("a", alias);
    expect(blob.digest).toBe(digest);
    expect(await readBlob(blob)).toBe("content");
  });

  test("a manifest exists if its revision's link does, whatever directories remain", async () => {
    const root = temporaryDirectory();
    const store = await openFilesystemStore(root);
    const bytes = imageManifest([]);
    const { digest } = await store.putManifest("a", { bytes, tags: ["v1"], sparse });
    await rm(join(root, v2, "repositories/a/_manifests/revisions", hexPath(digest), "link"));
    expect(await codeOf(store.getManifest("a", digest))).toBe("MANIFEST_UNKNOWN");
    expect(await codeOf(store.getManifest("a", "v1"))).toBe("MANIFEST_UNKNOWN");
  });

  test("temporary files of a crash are removed when the store opens, younger ones aren't", async () => {
    const root = temporaryDirectory();
    await openFilesystemStore(root);
    const [old, young] = ["old", "young"].map((name) => join(root, ".ocireg/tmp", name));
    await writeFile(old as string, "x");
    await writeFile(young as string, "x");
    const lastWeek = new Date(Date.now() - 7 * 24 * 3600 * 1000);
    await utimes(old as string, lastWeek, lastWeek);
    await openFilesystemStore(root);
    expect(existsSync(old as string)).toBe(false);
    expect(existsSync(young as string)).toBe(true);
  });

  test("a blob that the disk has damaged is mended by pushing it again", async () => {
    const root = temporaryDirectory();
    const store = await openFilesystemStore(root);
    const digest = await pushBlob(store, "a", "content");
    const blob = await store.openBlob("a", digest);
    if (blob.kind !== "file") throw new Error("the filesystem has files");
    await writeFile(blob.path, "CONTENT");
    await pushBlob(store, "a", "content");
    expect(await readBlob(await store.openBlob("a", digest))).toBe("content");
  });

  test("a stored manifest that was damaged is never served", async () => {
    const root = temporaryDirectory();
    const { digest } = await (await openFilesystemStore(root)).putManifest("a", {
      bytes: imageManifest([]),
      tags: ["v1"],
      sparse,
    });
    const [alg, hex] = [algorithmOf(digest), encodedOf(digest)];
    await appendFile(join(root, v2, "blobs", alg, hex.slice(0, 2), hex, "data"), " ");
    const reopened = await openFilesystemStore(root);
    expect(reopened.getManifest("a", "v1")).rejects.toThrow("doesn't match its digest");
  });

  test("finding a blob counts as a use that a collector sees", async () => {
    const root = temporaryDirectory();
    const store = await openFilesystemStore(root);
    const digest = await pushBlob(store, "a", "content");
    const link = join(root, v2, "repositories/a/_layers", hexPath(digest), "link");
    await utimes(link, new Date(0), new Date(0));
    await store.openBlob("a", digest);
    expect(Date.now() - Bun.file(link).lastModified).toBeLessThan(60_000);
  });
});

describe("filesystem: the catalogue", () => {
  test("shows repositories that come and go after it was read at rest", async () => {
    const root = temporaryDirectory();
    const store = await openFilesystemStore(root);
    const bytes = imageManifest([]);
    const list = async () => (await store.listRepositories()).items;
    const repositories = join(root, v2, "repositories");
    for (const name of ["one", "two/three"]) {
      await store.putManifest(name, { bytes, tags: [], sparse });
      const past = new Date(Date.now() - 60_000);
      await utimes(repositories, past, past);
      await list();
    }
    expect(await list()).toEqual(["one", "two/three"]);
    await store.putManifest("four", { bytes, tags: [], sparse });
    expect(await list()).toEqual(["four", "one", "two/three"]);
    await rm(join(repositories, "one"), { recursive: true });
    expect(await list()).toEqual(["four", "two/three"]);
  });

  test("pages through any names as sorting them would", async () => {
    const root = temporaryDirectory();
    const store = await openFilesystemStore(root);
    const component = fc.stringMatching(/^[a-c]([-.]?[a-c0]){0,2}$/);
    const name = fc.array(component, { minLength: 1, maxLength: 3 }).map((c) => c.join("/"));
    const names = fc.sample(name, { numRuns: 120, seed: 7 });
    for (const each of names) {
      await mkdir(join(root, v2, "repositories", each, "_manifests"), { recursive: true });
    }
    const sorted = [...new Set(names)].sort();
    expect((await store.listRepositories()).items).toEqual(sorted);
    for (const last of [...sorted, "", "a", "a/", "b-", "zzz", "a/b/c/d"]) {
      const { items } = await store.listRepositories({ limit: 3, last });
      expect(items).toEqual(sorted.filter((each) => each > last).slice(0, 3));
    }
  });
});

describe("filesystem: several processes over one root", () => {
  test("an upload that one started goes on and ends in another", async () => {
    const root = temporaryDirectory();
    const [first, second] = [await openFilesystemStore(root), await openFilesystemStore(root)];
    const { id } = await first.createUpload("a");
    await first.appendUpload("a", id, body("one "));
    await second.appendUpload("a", id, body("two "), { offset: 4 });
    await first.appendUpload("a", id, body("three"), { offset: 8 });
    await second.completeUpload("a", id, digestOf("one two three"));
    const blob = await first.openBlob("a", digestOf("one two three"));
    expect(await readBlob(blob)).toBe("one two three");
  });

  test("one that takes over while another still writes isn't disturbed by it", async () => {
    const root = temporaryDirectory();
    const [first, second] = [await openFilesystemStore(root), await openFilesystemStore(root)];
    const { id } = await first.createUpload("a");
    const { promise: late, resolve } = Promise.withResolvers<void>();
    async function* stalled() {
      yield new TextEncoder().encode("abc");
      await late;
      yield new TextEncoder().encode("XXXXXX");
    }
    const older = first.appendUpload("a", id, stalled());
    while ((await second.uploadStatus("a", id)).offset < 3) await Bun.sleep(1);
    await second.appendUpload("a", id, body("def"), { offset: 3 });
    resolve();
    expect(await codeOf(older)).toBe("BLOB_UPLOAD_INVALID");
    await second.completeUpload("a", id, digestOf("abcdef"));
    expect(await readBlob(await second.openBlob("a", digestOf("abcdef")))).toBe("abcdef");
  });

  test("a tag that one moves is read afresh by the other", async () => {
    const root = temporaryDirectory();
    const [first, second] = [await openFilesystemStore(root), await openFilesystemStore(root)];
    const one = await first.putManifest("a", { bytes: imageManifest([]), tags: ["v"], sparse });
    expect((await second.getManifest("a", "v")).digest).toBe(one.digest);
    const two = await first.putManifest("a", { bytes: imageManifest(["x"]), tags: ["v"], sparse });
    expect((await second.getManifest("a", "v")).digest).toBe(two.digest);
    await first.deleteManifest("a", two.digest);
    expect(await codeOf(second.getManifest("a", "v"))).toBe("MANIFEST_UNKNOWN");
  });
});

describe("filesystem: opened for reading", () => {
  test("nothing is written to the root that another registry wrote", async () => {
    const root = temporaryDirectory();
    const writer = await openFilesystemStore(root);
    const digest = await pushBlob(writer, "a", "content");
    const { digest: manifest } = await writer.putManifest("a", {
      bytes: imageManifest([]),
      tags: ["v1"],
      sparse,
    });
    await rm(join(root, ".ocireg"), { recursive: true });
    const before = filesBelow(root);
    const store = await openFilesystemStore(root, { readOnly: true });
    expect(await readBlob(await store.openBlob("a", digest))).toBe("content");
    expect((await store.getManifest("a", "v1")).digest).toBe(manifest);
    expect((await store.listRepositories()).items).toEqual(["a"]);
    expect(await Array.fromAsync(store.listReferrers("a", digest))).toEqual([]);
    expect(existsSync(join(root, ".ocireg"))).toBe(false);
    expect(filesBelow(root)).toEqual(before);
  });

  test("an empty root is an empty registry", async () => {
    const store = await openFilesystemStore(temporaryDirectory(), { readOnly: true });
    expect((await store.listRepositories()).items).toEqual([]);
    expect(await codeOf(store.getManifest("a", "v1"))).toBe("MANIFEST_UNKNOWN");
  });
});

describe("filesystem: referrers", () => {
  const subjectOf = (text: string) => ({
    mediaType: OCI_IMAGE_MANIFEST,
    digest: digestOf(text),
    size: text.length,
  });
  const referrerTo = (text: string, name: string) =>
    imageManifest([], { subject: subjectOf(text), annotations: { name } });
  const namesOf = async (store: Awaited<ReturnType<typeof openFilesystemStore>>, text: string) =>
    (await Array.fromAsync(store.listReferrers("a", digestOf(text))))
      .map((d) => d.annotations?.["name"])
      .sort();
  const put = (store: Awaited<ReturnType<typeof openFilesystemStore>>, bytes: Uint8Array) =>
    store.putManifest("a", { bytes, tags: [], sparse });

  test("the index is rebuilt when it is missing, as in a root that registry:2 wrote", async () => {
    const root = temporaryDirectory();
    const writer = await openFilesystemStore(root);
    await put(writer, referrerTo("s", "one"));
    await put(writer, referrerTo("s", "two"));
    await rm(join(root, v2, "repositories/a/_referrers"), { recursive: true });
    const reader = await openFilesystemStore(root);
    expect(await namesOf(reader, "s")).toEqual(["one", "two"]);
  });

  test("revisions that come and go behind its back are noticed, also after a settled read", async () => {
    const root = temporaryDirectory();
    const reader = await openFilesystemStore(root);
    const one = await put(reader, referrerTo("s", "one"));
    const revisions = join(root, v2, "repositories/a/_manifests/revisions/sha256");
    const past = new Date(Date.now() - 60_000);
    await utimes(revisions, past, past);
    expect(await namesOf(reader, "s")).toEqual(["one"]);
    expect(existsSync(join(root, v2, "repositories/a/_referrers/state"))).toBe(true);

    // Another registry adds one, and knows nothing of an index.
    const other = await openFilesystemStore(root);
    await put(other, referrerTo("s", "two"));
    const index = join(root, v2, "repositories/a/_referrers/sha256");
    await rm(index, { recursive: true });
    await put(reader, referrerTo("s", "one"));
    expect(await namesOf(reader, "s")).toEqual(["one", "two"]);

    await rm(join(revisions, encodedOf(one.digest)), { recursive: true });
    expect(await namesOf(reader, "s")).toEqual(["two"]);
  });

  test("manifests that clients listed under the fallback tag are taken in", async () => {
    const store = await openFilesystemStore(temporaryDirectory());
    const bytes = referrerTo("s", "tagged");
    const { digest } = await put(store, bytes);
    const index = JSON.stringify({
      schemaVersion: 2,
      mediaType: OCI_IMAGE_INDEX,
      manifests: [{ mediaType: OCI_IMAGE_MANIFEST, digest, size: bytes.length }],
    });
    await store.putManifest("a", {
      bytes: new TextEncoder().encode(index),
      tags: [digestOf("s").replace(":", "-")],
      sparse,
    });
    expect(await namesOf(store, "s")).toEqual(["tagged"]);
  });
});
