/** How any Store behaves. A new backend is done when it passes this. */
import { beforeEach, describe, expect, test } from "bun:test";
import { type Digest, digestOf } from "../../src/oci/digest.ts";
import { OCI_IMAGE_INDEX, OCI_IMAGE_MANIFEST } from "../../src/oci/media-types.ts";
import { StorageError } from "../../src/storage/errors.ts";
import type { BlobContent, Store } from "../../src/storage/store.ts";

const repository = "library/thing";
const bytesOf = (text: string) => new TextEncoder().encode(text);

/** A body that arrives in pieces, as from a socket. */
export async function* body(...pieces: (string | Uint8Array)[]): AsyncGenerator<Uint8Array> {
  for (const piece of pieces) yield typeof piece === "string" ? bytesOf(piece) : piece;
}

/** A body whose connection breaks after its pieces. */
async function* broken(...pieces: string[]): AsyncGenerator<Uint8Array> {
  for (const piece of pieces) yield bytesOf(piece);
  throw new Error("connection reset");
}

export async function pushBlob(
  store: Store,
  name: string,
  content: string,
  algorithm = "sha256",
): Promise<Digest> {
  const digest = digestOf(content, algorithm);
  const { id } = await store.createUpload(name, algorithm);
  await store.appendUpload(name, id, body(content));
  await store.completeUpload(name, id, digest);
  return digest;
}

export async function readBlob(content: BlobContent): Promise<string> {
  if (content.kind === "file") return Bun.file(content.path).text();
  if (content.kind === "stream") return new Response(content.open(0, content.size)).text();
  return (await fetch(content.url)).text();
}

/** An image manifest over blobs that may or may not be there. */
export function imageManifest(
  layers: readonly string[],
  more: Record<string, unknown> = {},
): Uint8Array {
  return bytesOf(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: OCI_IMAGE_MANIFEST,
      config: describeText("application/vnd.oci.empty.v1+json", "{}"),
      layers: layers.map((layer) => describeText("application/octet-stream", layer)),
      ...more,
    }),
  );
}

function describeText(mediaType: string, content: string) {
  return { mediaType, digest: digestOf(content), size: content.length };
}

export async function codeOf(promise: Promise<unknown>): Promise<string | undefined> {
  try {
    await promise;
    return undefined;
  } catch (error) {
    if (error instanceof StorageError) return error.code;
    throw error;
  }
}

/** Runs `task` for as long as `until` runs, again and again, with a pause for others. */
async function during<T>(until: Promise<T>, task: () => Promise<unknown>): Promise<T> {
  let ended = false;
  const end = until.finally(() => {
    ended = true;
  });
  while (!ended) await task();
  return end;
}

async function times(count: number, task: () => Promise<unknown>): Promise<void> {
  for (let i = 0; i < count; i++) await task();
}

export function describeStore(backend: string, open: () => Promise<Store>): void {
  let store: Store;
  const put = (bytes: Uint8Array, tags: string[] = [], more = {}) =>
    store.putManifest(repository, { bytes, tags, sparse: "index", ...more });

  const referrersOf = (name: string, subject: Digest, last?: string) =>
    Array.fromAsync(store.listReferrers(name, subject, last));

  beforeEach(async () => {
    store = await open();
  });

  describe(`${backend}: blobs`, () => {
    test("an uploaded blob is there with its digest, size and bytes", async () => {
      const digest = await pushBlob(store, repository, "hello");
      const blob = await store.openBlob(repository, digest);
      expect(blob.digest).toBe(digest);
      expect(blob.size).toBe(5);
      expect(await readBlob(blob)).toBe("hello");
    });

    test("an empty blob is a blob", async () => {
      const digest = await pushBlob(store, repository, "");
      expect((await store.openBlob(repository, digest)).size).toBe(0);
    });

    test("a sha512 blob is found by its sha512 digest, announced or not", async () => {
      const announced = await pushBlob(store, repository, "long", "sha512");
      expect(await readBlob(await store.openBlob(repository, announced))).toBe("long");

      const { id } = await store.createUpload(repository);
      await store.appendUpload(repository, id, body("also long"));
      const late = digestOf("also long", "sha512");
      expect((await store.completeUpload(repository, id, late)).digest).toBe(late);
      expect(await readBlob(await store.openBlob(repository, late))).toBe("also long");
    });

    test("a blob is unknown to a repository that nobody pushed it to", async () => {
      const digest = await pushBlob(store, repository, "hello");
      expect(await codeOf(store.openBlob("other", digest))).toBe("BLOB_UNKNOWN");
    });

    test("mounting links a blob from the repository that has it, and only from that", async () => {
      const digest = await pushBlob(store, repository, "hello");
      expect(await store.linkBlob("new/home", digest, "not/there")).toBe(false);
      expect(await codeOf(store.openBlob("new/home", digest))).toBe("BLOB_UNKNOWN");
      expect(await store.linkBlob("new/home", digest, repository)).toBe(true);
      expect(await readBlob(await store.openBlob("new/home", digest))).toBe("hello");
    });

    test("mounting from nowhere in particular finds a blob that any repository has", async () => {
      const digest = await pushBlob(store, repository, "hello");
      expect(await store.linkBlob("new/home", digest)).toBe(true);
      expect(await store.linkBlob("new/home", digestOf("nowhere"))).toBe(false);
    });

    test("unlinking takes a blob out of one repository and leaves it in the others", async () => {
      const digest = await pushBlob(store, repository, "hello");
      await store.linkBlob("other", digest, repository);
      await store.unlinkBlob(repository, digest);
      expect(await codeOf(store.openBlob(repository, digest))).toBe("BLOB_UNKNOWN");
      expect(await codeOf(store.unlinkBlob(repository, digest))).toBe("BLOB_UNKNOWN");
      expect(await readBlob(await store.openBlob("other", digest))).toBe("hello");
    });

    test("a blob that was deleted can be pushed again", async () => {
      const digest = await pushBlob(store, repository, "hello");
      await store.unlinkBlob(repository, digest);
      await pushBlob(store, repository, "hello");
      expect(await readBlob(await store.openBlob(repository, digest))).toBe("hello");
    });
  });

  describe(`${backend}: uploads`, () => {
    test("chunks follow each other, and the status tells where the next one starts", async () => {
      const { id, offset } = await store.createUpload(repository);
      expect(offset).toBe(0);
      expect(await store.uploadStatus(repository, id)).toEqual({ id, offset: 0 });
      await store.appendUpload(repository, id, body("hel", "lo"), { offset: 0, length: 5 });
      expect(await store.uploadStatus(repository, id)).toEqual({ id, offset: 5 });
      await store.appendUpload(repository, id, body(" world"), { offset: 5 });
      await store.completeUpload(repository, id, digestOf("hello world"));
      const blob = await store.openBlob(repository, digestOf("hello world"));
      expect(await readBlob(blob)).toBe("hello world");
    });

    test("a chunk that starts elsewhere is refused and changes nothing", async () => {
      const { id } = await store.createUpload(repository);
      await store.appendUpload(repository, id, body("abc"));
      expect(store.appendUpload(repository, id, body("x"), { offset: 1 })).rejects.toMatchObject({
        code: "BLOB_UPLOAD_INVALID",
        offset: 3,
      });
      await store.completeUpload(repository, id, digestOf("abc"));
    });

    test("what arrived before a connection broke is kept, and the upload goes on", async () => {
      const { id } = await store.createUpload(repository);
      expect(store.appendUpload(repository, id, broken("abc"))).rejects.toThrow("reset");
      expect((await store.uploadStatus(repository, id)).offset).toBe(3);
      await store.appendUpload(repository, id, body("def"), { offset: 3 });
      await store.completeUpload(repository, id, digestOf("abcdef"));
    });

    test("a chunk that is shorter or longer than announced is taken back", async () => {
      const { id } = await store.createUpload(repository);
      await store.appendUpload(repository, id, body("abc"));
      for (const wrong of ["d", "defg"]) {
        const append = store.appendUpload(repository, id, body(wrong), { length: 3 });
        expect(await codeOf(append)).toBe("SIZE_INVALID");
        expect((await store.uploadStatus(repository, id)).offset).toBe(3);
      }
      await store.appendUpload(repository, id, body("def"), { length: 3 });
      await store.completeUpload(repository, id, digestOf("abcdef"));
    });

    test("content of another digest is refused, stored nowhere, and ends the session", async () => {
      const { id } = await store.createUpload(repository);
      await store.appendUpload(repository, id, body("evil"));
      const digest = digestOf("good");
      expect(await codeOf(store.completeUpload(repository, id, digest))).toBe("DIGEST_INVALID");
      expect(await codeOf(store.openBlob(repository, digest))).toBe("BLOB_UNKNOWN");
      expect(await codeOf(store.openBlob(repository, digestOf("evil")))).toBe("BLOB_UNKNOWN");
      expect(await codeOf(store.uploadStatus(repository, id))).toBe("BLOB_UPLOAD_UNKNOWN");
    });

    test("a cancelled, a completed and an invented session are unknown", async () => {
      const cancelled = await store.createUpload(repository);
      await store.cancelUpload(repository, cancelled.id);
      const completed = await store.createUpload(repository);
      await store.completeUpload(repository, completed.id, digestOf(""));
      for (const id of [cancelled.id, completed.id, crypto.randomUUID(), "../../x", ""]) {
        expect(await codeOf(store.uploadStatus(repository, id))).toBe("BLOB_UPLOAD_UNKNOWN");
        expect(await codeOf(store.appendUpload(repository, id, body("x")))).toBe(
          "BLOB_UPLOAD_UNKNOWN",
        );
        expect(await codeOf(store.completeUpload(repository, id, digestOf("x")))).toBe(
          "BLOB_UPLOAD_UNKNOWN",
        );
        expect(await codeOf(store.cancelUpload(repository, id))).toBe("BLOB_UPLOAD_UNKNOWN");
      }
    });

    test("a session belongs to its repository", async () => {
      const { id } = await store.createUpload(repository);
      expect(await codeOf(store.uploadStatus("other", id))).toBe("BLOB_UPLOAD_UNKNOWN");
    });

    test("a newer request fences off an older one that never ended", async () => {
      const { id } = await store.createUpload(repository);
      const { promise: late, resolve } = Promise.withResolvers<void>();
      async function* stalled() {
        yield bytesOf("abc");
        await late;
        yield bytesOf("XXX");
      }
      const older = store.appendUpload(repository, id, stalled());
      while ((await store.uploadStatus(repository, id)).offset < 3) await Bun.sleep(1);
      await store.appendUpload(repository, id, body("def"), { offset: 3 });
      resolve();
      expect(await codeOf(older)).toBe("BLOB_UPLOAD_INVALID");
      await store.completeUpload(repository, id, digestOf("abcdef"));
      const blob = await store.openBlob(repository, digestOf("abcdef"));
      expect(await readBlob(blob)).toBe("abcdef");
    });

    test("a session that is finished by several requests at once is finished by one", async () => {
      for (let round = 0; round < 20; round++) {
        const { id } = await store.createUpload(repository);
        await store.appendUpload(repository, id, body("content"));
        const digest = digestOf("content");
        const codes = await Promise.all([
          ...Array.from({ length: 3 }, () => codeOf(store.completeUpload(repository, id, digest))),
          codeOf(store.appendUpload(repository, id, body("more"), { offset: 7 })),
          codeOf(store.uploadStatus(repository, id)),
        ]);
        const known = [undefined, "BLOB_UPLOAD_UNKNOWN", "BLOB_UPLOAD_INVALID", "DIGEST_INVALID"];
        for (const code of codes) expect(known).toContain(code);
        if (codes.slice(0, 3).includes(undefined)) {
          expect(await readBlob(await store.openBlob(repository, digest))).toBe("content");
        }
      }
    });

    test("a blob can be pushed and mounted while it is deleted", async () => {
      const push = times(15, () => pushBlob(store, repository, "here and gone"));
      const mount = times(60, () => store.linkBlob(repository, digestOf("here and gone")));
      await during(Promise.all([push, mount]), async () => {
        const code = await codeOf(store.unlinkBlob(repository, digestOf("here and gone")));
        expect([undefined, "BLOB_UNKNOWN"]).toContain(code);
      });
    });

    test("the same blob pushed many times at once is there once, whole", async () => {
      const content = "same".repeat(100_000);
      const digests = await Promise.all(
        Array.from({ length: 8 }, () => pushBlob(store, repository, content)),
      );
      const blob = await store.openBlob(repository, digests[0] as Digest);
      expect(await readBlob(blob)).toBe(content);
    });
  });

  describe(`${backend}: manifests`, () => {
    beforeEach(async () => {
      await pushBlob(store, repository, "{}");
      await pushBlob(store, repository, "layer");
    });

    test("a manifest comes back byte for byte, by tag and by digest", async () => {
      const bytes = bytesOf(` ${new TextDecoder().decode(imageManifest(["layer"]))}\n`);
      const { digest, subject } = await put(bytes, ["v1"]);
      expect(subject).toBeUndefined();
      for (const reference of ["v1", digest]) {
        const stored = await store.getManifest(repository, reference);
        expect(stored.digest).toBe(digest);
        expect(stored.mediaType).toBe(OCI_IMAGE_MANIFEST);
        expect(Buffer.compare(stored.bytes, bytes)).toBe(0);
      }
    });

    test("a manifest can be pushed while it is deleted, and leaves no tag of nothing", async () => {
      const bytes = imageManifest(["layer"]);
      const digest = digestOf(bytes);
      const push = () => times(10, () => put(bytes, ["v1", "v2"]));
      const remove = (reference: string) => async () => {
        const code = await codeOf(store.deleteManifest(repository, reference));
        expect([undefined, "MANIFEST_UNKNOWN"]).toContain(code);
      };
      const pushes = Promise.all([push(), push()]);
      await Promise.all([during(pushes, remove(digest)), during(pushes, remove("v1"))]);
      await remove(digest)();
      expect((await store.listTags(repository)).items).toEqual([]);
      await put(bytes, ["v1"]);
      expect((await store.getManifest(repository, "v1")).digest).toBe(digest);
    });

    test("a manifest without mediaType comes back with the type that it was pushed with", async () => {
      const bytes = bytesOf(JSON.stringify({ anything: true }));
      const contentType = "application/vnd.example.thing.v1+json; charset=utf-8";
      await put(bytes, ["odd"], { contentType });
      const { mediaType } = await store.getManifest(repository, "odd");
      expect(mediaType).toBe("application/vnd.example.thing.v1+json");
    });

    test("a manifest is stored by the algorithm of the digest that was asked for", async () => {
      const bytes = imageManifest(["layer"]);
      const digest = digestOf(bytes, "sha512");
      expect((await put(bytes, [], { digest })).digest).toBe(digest);
      expect((await store.getManifest(repository, digest)).digest).toBe(digest);
    });

    test("a manifest of another digest than announced is refused", async () => {
      const bytes = imageManifest(["layer"]);
      const digest = digestOf("something else");
      expect(await codeOf(put(bytes, ["v1"], { digest }))).toBe("DIGEST_INVALID");
      expect(await codeOf(store.getManifest(repository, "v1"))).toBe("MANIFEST_UNKNOWN");
    });

    test("what isn't a manifest is refused, and nothing is stored", async () => {
      for (const text of ["", "no json", "[]", "null", '{"schemaVersion":2}']) {
        expect(await codeOf(put(bytesOf(text), ["v1"]))).toBe("MANIFEST_INVALID");
      }
      expect(await codeOf(store.getManifest(repository, "v1"))).toBe("MANIFEST_UNKNOWN");
      expect((await store.listRepositories()).items).toEqual([]);
    });

    test("an image must have its blobs in the repository, unless it may be sparse", async () => {
      const bytes = imageManifest(["layer", "absent"]);
      expect(put(bytes)).rejects.toMatchObject({
        code: "MANIFEST_BLOB_UNKNOWN",
        detail: { digests: [digestOf("absent")] },
      });
      expect(await codeOf(put(bytes, [], { sparse: "image" }))).toBeUndefined();
    });

    test("an index may miss children, unless nothing may be sparse", async () => {
      const index = bytesOf(
        JSON.stringify({
          schemaVersion: 2,
          mediaType: OCI_IMAGE_INDEX,
          manifests: [describeText(OCI_IMAGE_MANIFEST, "absent")],
        }),
      );
      expect(await codeOf(put(index, ["multi"]))).toBeUndefined();
      expect(await codeOf(put(index, [], { sparse: "none" }))).toBe("MANIFEST_BLOB_UNKNOWN");
    });

    test("layers that lie elsewhere needn't be here", async () => {
      const foreign = {
        ...describeText("application/vnd.docker.image.rootfs.foreign.diff.tar.gzip", "far"),
        urls: ["https://example.com/far"],
      };
      expect(await codeOf(put(imageManifest([], { layers: [foreign] })))).toBeUndefined();
    });

    test("a tag moves to what was pushed last", async () => {
      await put(imageManifest([]), ["v1"]);
      const { digest } = await put(imageManifest(["layer"]), ["v1"]);
      expect((await store.getManifest(repository, "v1")).digest).toBe(digest);
    });

    test("deleting a tag leaves the manifest and its other tags", async () => {
      const { digest } = await put(imageManifest([]), ["v1", "v2"]);
      await store.deleteManifest(repository, "v1");
      expect(await codeOf(store.getManifest(repository, "v1"))).toBe("MANIFEST_UNKNOWN");
      expect(await codeOf(store.deleteManifest(repository, "v1"))).toBe("MANIFEST_UNKNOWN");
      expect((await store.getManifest(repository, digest)).digest).toBe(digest);
      expect((await store.getManifest(repository, "v2")).digest).toBe(digest);
    });

    test("deleting a digest deletes its tags, and no others", async () => {
      const { digest } = await put(imageManifest([]), ["v1", "v2"]);
      await put(imageManifest(["layer"]), ["v3"]);
      await store.deleteManifest(repository, digest);
      expect(await codeOf(store.getManifest(repository, digest))).toBe("MANIFEST_UNKNOWN");
      expect(await codeOf(store.deleteManifest(repository, digest))).toBe("MANIFEST_UNKNOWN");
      expect((await store.listTags(repository)).items).toEqual(["v3"]);
    });

    test("a manifest that was deleted can be pushed again", async () => {
      const bytes = imageManifest([]);
      const { digest } = await put(bytes, ["v1"]);
      await store.deleteManifest(repository, digest);
      await put(bytes, ["v1"]);
      expect((await store.getManifest(repository, "v1")).digest).toBe(digest);
    });

    test("tags pushed at the same time all end up there", async () => {
      const tags = Array.from({ length: 20 }, (_, i) => `t${i}`);
      await Promise.all(tags.map((tag) => put(imageManifest([]), [tag, "shared"])));
      expect((await store.listTags(repository)).items).toEqual(["shared", ...tags].sort());
    });
  });

  describe(`${backend}: lists`, () => {
    const sparse = { sparse: "image" as const };

    test("tags come in ASCII order, in pages that start after `last`", async () => {
      await put(imageManifest([]), ["b", "a", "B", "1", "_x", "a.1"], sparse);
      const list = async (options = {}) => await store.listTags(repository, options);
      expect((await list()).items).toEqual(["1", "B", "_x", "a", "a.1", "b"]);
      expect(await list({ limit: 2 })).toEqual({ items: ["1", "B"], more: true });
      expect(await list({ limit: 4, last: "B" })).toEqual({
        items: ["_x", "a", "a.1", "b"],
        more: false,
      });
      expect((await list({ last: "C" })).items).toEqual(["_x", "a", "a.1", "b"]);
      expect((await list({ limit: 0 })).items).toEqual([]);
    });

    test("the tags of an unknown repository are NAME_UNKNOWN, of an untagged one none", async () => {
      expect(await codeOf(store.listTags("no/such"))).toBe("NAME_UNKNOWN");
      await put(imageManifest([]), [], sparse);
      expect((await store.listTags(repository)).items).toEqual([]);
    });

    test("repositories come in ASCII order of their whole names, in pages", async () => {
      const names = ["a", "a-b", "a/b", "a/b/c", "a/b-c", "a.b", "ab", "b/blobs/uploads"];
      for (const name of [...names].reverse()) {
        await store.putManifest(name, { bytes: imageManifest([]), tags: [], ...sparse });
      }
      const sorted = [...names].sort();
      expect((await store.listRepositories()).items).toEqual(sorted);
      for (let last: string | undefined, seen: string[] = []; ; ) {
        const page = await store.listRepositories({ limit: 3, last });
        seen = [...seen, ...page.items];
        last = page.items.at(-1);
        if (page.more) continue;
        expect(seen).toEqual(sorted);
        break;
      }
    });

    test("a repository appears with its first manifest, not with its first upload", async () => {
      await pushBlob(store, repository, "hello");
      expect((await store.listRepositories()).items).toEqual([]);
    });

    test("referrers are found by their subject, whichever was pushed first", async () => {
      const subjectBytes = imageManifest(["subject"]);
      const subject = digestOf(subjectBytes);
      const referrer = imageManifest([], {
        subject: { mediaType: OCI_IMAGE_MANIFEST, digest: subject, size: subjectBytes.length },
        artifactType: "application/vnd.example.sbom",
        annotations: { who: "me" },
      });
      expect(await referrersOf(repository, subject)).toEqual([]);
      const before = await put(referrer, [], sparse);
      expect(before.subject).toBe(subject);
      await put(subjectBytes, ["v1"], sparse);
      expect(await referrersOf(repository, subject)).toEqual([
        {
          mediaType: OCI_IMAGE_MANIFEST,
          digest: before.digest,
          size: referrer.length,
          artifactType: "application/vnd.example.sbom",
          annotations: { who: "me" },
        },
      ]);
      expect(await referrersOf("no/such", subject)).toEqual([]);
      expect(await referrersOf(repository, subject, before.digest)).toEqual([]);
      await store.deleteManifest(repository, before.digest);
      expect(await referrersOf(repository, subject)).toEqual([]);
    });
  });

  describe(`${backend}: names`, () => {
    const hostile = [
      "..",
      "../up",
      "a/../b",
      "a//b",
      "/a",
      "a/",
      "A",
      "a b",
      "a\0b",
      "_manifests",
      "a/_layers",
      "a%2fb",
      "a\\b",
      ".hidden",
      "-a",
      "",
      "a".repeat(256),
    ];

    test("no operation takes a repository name that isn't one", async () => {
      const digest = digestOf("x");
      for (const name of hostile) {
        const operations = [
          () => store.openBlob(name, digest),
          () => store.unlinkBlob(name, digest),
          () => store.getManifest(name, "v1"),
          () => store.getManifest(name, digest),
          () => store.putManifest(name, { bytes: imageManifest([]), tags: [], sparse: "image" }),
          () => store.deleteManifest(name, "v1"),
          () => store.listTags(name),
          () => referrersOf(name, digest),
          () => store.createUpload(name),
          () => store.uploadStatus(name, crypto.randomUUID()),
        ];
        for (const operation of operations) expect(await codeOf(operation())).toBe("NAME_INVALID");
      }
    });

    test("no operation takes a tag that isn't one", async () => {
      for (const tag of ["..", "a/b", "../../x", "", ".a", "a b", "ä", "a".repeat(129)]) {
        expect(await codeOf(store.getManifest(repository, tag))).toBe("MANIFEST_INVALID");
        expect(await codeOf(put(imageManifest([]), [tag], { sparse: "image" }))).toBe(
          "MANIFEST_INVALID",
        );
      }
    });

    test("no operation takes a digest that slipped through unchecked", async () => {
      for (const text of ["sha256:../../../etc/passwd", "../x:y", "sha256:ab", "md5:00"]) {
        const digest = text as Digest;
        expect(await codeOf(store.openBlob(repository, digest))).toBe("DIGEST_INVALID");
        expect(await codeOf(store.linkBlob(repository, digest))).toBe("DIGEST_INVALID");
        expect(await codeOf(referrersOf(repository, digest))).toBe("DIGEST_INVALID");
      }
    });
  });
}
