import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import {
  DOCKER_CONFIG_TAR,
  DOCKER_CONFIG_V01,
  DOCKER_GGUF,
  DOCKER_LICENSE,
  DOCKER_SAFETENSORS,
} from "../../src/model/docker.ts";
import { type Digest, digestOf, encodedOf } from "../../src/oci/digest.ts";
import { OCI_IMAGE_INDEX, OCI_IMAGE_MANIFEST } from "../../src/oci/media-types.ts";
import { hostPlatform } from "../../src/oci/partial.ts";
import type { Reference } from "../../src/oci/reference.ts";
import type { Cache } from "../../src/pull/cache.ts";
import type { TransferEvent } from "../../src/pull/events.ts";
import { type PullOptions, pull } from "../../src/pull/pull.ts";
import { push } from "../../src/pull/push.ts";
import { resolve } from "../../src/pull/resolve.ts";
import { filepath, ggufFile, tensorFile } from "../model/fixtures.ts";
import { makeModel } from "../support/model.ts";
import { temporaryDirectory } from "../support/temp.ts";
import {
  failureOf,
  pushArtifact,
  startWorld,
  storedBlob,
  tree,
  treeIfThere,
  type World,
} from "./fixtures.ts";
import { tar } from "./tar.ts";

let world: World;
let model: string;
let reference: Reference;
let digest: Digest;
beforeAll(async () => {
  world = await startWorld();
  model = temporaryDirectory();
  await makeModel(model, { shards: 3 });
  reference = world.reference("user/model:v1");
  ({ digest } = await push({
    path: model,
    reference,
    client: world.client,
    format: "docker-v0.1",
  }));
});
afterAll(() => world.registry.stop());

const pullTo = (cache: Cache, options: Partial<PullOptions> = {}) =>
  pull({ reference, client: world.client, cache, ...options });
const text = (value: unknown) => JSON.stringify(value);

describe("a pulled model", () => {
  test("lies in the cache in its exact layout", async () => {
    const cache = world.newCache();
    const result = await pullTo(cache);
    const view = join(cache.root, "views", digest.replace(":", "-"));
    expect(result).toEqual({
      reference: `${world.registry.host}/user/model:v1`,
      digest,
      path: join(view, "model"),
      format: "docker",
    });

    const manifestBytes = readFileSync(join(view, "manifest.json"));
    expect(digestOf(manifestBytes)).toBe(digest);
    const { config, layers } = JSON.parse(manifestBytes.toString());
    const link = `127.0.0.1_${world.registry.host.split(":")[1]}_user_model_v1`;
    expect(readdirSync(cache.root).sort()).toEqual(
      [link, "blobs", "partial", "references", "views"].sort(),
    );
    expect(readlinkSync(join(cache.root, link))).toBe(`views/${digest.replace(":", "-")}`);
    expect(readdirSync(join(cache.root, "partial"))).toEqual([]);
    expect(readdirSync(join(cache.root, "blobs/sha256")).sort()).toEqual(
      [config, ...layers].map((blob) => encodedOf(blob.digest)).sort(),
    );
    expect(readdirSync(view).sort()).toEqual(
      ["config", "layers", "manifest.json", "model", "oci_metadata.json"].sort(),
    );
    expect(readdirSync(join(view, "layers")).sort()).toEqual(
      layers
        .filter((layer: { mediaType: string }) => layer.mediaType === DOCKER_SAFETENSORS)
        .map(
          (layer: { digest: Digest }, i: number) =>
            `000${i}_${encodedOf(layer.digest)}.safetensors`,
        ),
    );
    expect(tree(join(view, "model"))).toEqual(tree(model));
    expect(readdirSync(join(view, "config"))).toContain("config.json");
    expect(JSON.parse(readFileSync(join(view, "oci_metadata.json"), "utf8"))).toMatchObject({
      digest,
      format: "docker",
      complete: true,
    });
  });

  test("is one copy on disk", async () => {
    const cache = world.newCache();
    const { path } = await pullTo(cache);
    const shard = join(path, "model-00001-of-00003.safetensors");
    const blob = cache.blobs.path(digestOf(readFileSync(shard)));
    const shares = statSync(shard).ino === statSync(blob).ino;
    // A file system with reflinks shows two inodes over the same data.
    if (!shares) expect(statSync(blob).nlink).toBe(1);
    expect(statSync(shard).mode & 0o222).toBe(0);
  });

  test.each(["", "model"])(
    "isn't written behind a symlink that somebody put in the place of its view's %p",
    async (part) => {
      const cache = world.newCache();
      const elsewhere = temporaryDirectory();
      writeFileSync(join(elsewhere, "model-00001-of-00003.safetensors"), "mine");
      const place = join(cache.root, "views", digest.replace(":", "-"), part);
      mkdirSync(dirname(place), { recursive: true });
      symlinkSync(elsewhere, place);
      const { message } = await failureOf(pullTo(cache), "disk");
      expect(message).toContain(digest.replace(":", "-"));
      expect(Object.keys(tree(elsewhere))).toEqual(["model-00001-of-00003.safetensors"]);
      expect(readFileSync(join(elsewhere, "model-00001-of-00003.safetensors"), "utf8")).toBe(
        "mine",
      );
    },
  );

  test("costs one manifest request and no blob requests the second time", async () => {
    const cache = world.newCache();
    const first = await pullTo(cache);
    const before = tree(cache.root);
    world.requests.length = 0;
    expect(await pullTo(cache)).toEqual(first);
    expect(world.requests).toEqual(["GET manifests"]);
    expect(tree(cache.root)).toEqual(before);
  });

  test("costs no request at all the second time by digest", async () => {
    const cache = world.newCache();
    const first = await pullTo(cache);
    world.requests.length = 0;
    const byDigest = { ...reference, digest };
    expect((await pullTo(cache, { reference: byDigest })).path).toBe(first.path);
    expect(world.requests).toEqual([]);
  });

  test("moves with the tag, and leaves the view that an engine has open", async () => {
    const cache = world.newCache();
    const moving = world.reference("user/moving:v1");
    const layers = (content: string) => ({
      layers: [{ mediaType: DOCKER_LICENSE, content }],
      configType: DOCKER_CONFIG_V01,
    });
    await pushArtifact(world, moving, layers("one"));
    const old = await pullTo(cache, { reference: moving });
    const second = await pushArtifact(world, moving, layers("two"));
    const latest = await pullTo(cache, { reference: moving });
    expect(latest.digest).toBe(second);
    expect(readFileSync(join(old.path, "LICENSE"), "utf8")).toBe("one");
    expect(readFileSync(join(latest.path, "LICENSE"), "utf8")).toBe("two");
    expect(await cache.find(moving, hostPlatform())).toBe(second);
  });

  test("comes from the manifest of an index that suits the platform, past attestations", async () => {
    const cache = world.newCache();
    const indexed = world.reference("user/indexed:v1");
    const child = async (content: string, platform: object, annotations = {}) => {
      const at = await pushArtifact(world, world.reference(`user/indexed:${content}`), {
        layers: [{ mediaType: DOCKER_LICENSE, content }],
        configType: DOCKER_CONFIG_V01,
      });
      const size = (await world.client.getManifest({ ...indexed, digest: at })).bytes.byteLength;
      return { mediaType: OCI_IMAGE_MANIFEST, digest: at, size, platform, annotations };
    };
    const manifests = [
      await child("arm", { os: "linux", architecture: "arm64" }),
      await child("amd", { os: "linux", architecture: "amd64" }),
      await child("proof", { os: "unknown", architecture: "unknown" }),
    ];
    const index = { schemaVersion: 2, mediaType: OCI_IMAGE_INDEX, manifests };
    await world.client.putManifest(indexed, Buffer.from(text(index)), OCI_IMAGE_INDEX);

    const license = async (architecture: string) => {
      const platform = { os: "linux", architecture };
      const { path } = await pullTo(cache, { reference: indexed, platform });
      return readFileSync(join(path, "LICENSE"), "utf8");
    };
    expect(await license("arm64")).toBe("arm");
    expect(await license("amd64")).toBe("amd");
    await failureOf(license("riscv64"), "not-found");
    world.requests.length = 0;
    expect(await license("amd64")).toBe("amd");
    expect(world.requests).toEqual(["GET manifests"]);
  });

  test("grows when a later pull includes more files", async () => {
    const cache = world.newCache();
    const include = ["model-00001-*"];
    const { path } = await pullTo(cache, { include });
    expect(readdirSync(path)).toEqual(["model-00001-of-00003.safetensors"]);
    const { ino } = statSync(join(path, "model-00001-of-00003.safetensors"));

    world.requests.length = 0;
    await pullTo(cache, { include });
    expect(world.requests).toEqual(["GET manifests"]);

    await pullTo(cache, { exclude: ["*.safetensors"] });
    expect(existsSync(join(path, "LICENSE"))).toBe(true);
    expect((await pullTo(cache)).path).toBe(path);
    expect(tree(path)).toEqual(tree(model));
    expect(statSync(join(path, "model-00001-of-00003.safetensors")).ino).toBe(ino);
  });

  test("grows by a second name of content that is there", async () => {
    const cache = world.newCache();
    const named = world.reference("user/two-names:v1");
    const layers = ["one.txt", "two.txt"].map((name) => ({
      mediaType: DOCKER_LICENSE,
      content: "the same text",
      annotations: filepath(name),
    }));
    await pushArtifact(world, named, { layers, configType: DOCKER_CONFIG_V01 });
    const options = { reference: named };
    const { path } = await pullTo(cache, { ...options, include: ["one.txt"] });
    expect(readdirSync(path)).toEqual(["one.txt"]);
    await pullTo(cache, options);
    expect(readdirSync(path).sort()).toEqual(["one.txt", "two.txt"]);
  });

  test("needs something to pull", async () => {
    const only = world.reference("user/only:v1");
    const layers = [{ mediaType: DOCKER_LICENSE, content: "MIT" }];
    await pushArtifact(world, only, { layers, configType: DOCKER_CONFIG_V01 });
    const options = { reference: only, exclude: ["*"] };
    expect((await failureOf(pullTo(world.newCache(), options), "usage")).message).toContain(
      "leave no file",
    );
  });
});

describe("a pull that fails", () => {
  test("leaves no view and no bad blob when a blob is corrupted", async () => {
    const bad = world.reference("user/corrupted:v1");
    await pushArtifact(world, bad, {
      layers: [{ mediaType: DOCKER_LICENSE, content: "the right text" }],
      configType: DOCKER_CONFIG_V01,
    });
    const stored = storedBlob(world, digestOf("the right text"));
    chmodSync(stored, 0o644);
    writeFileSync(stored, "the wrong text");
    const cache = world.newCache();
    await failureOf(pullTo(cache, { reference: bad }), "content");
    // All that there may be is the config, which is right.
    expect(Object.keys(tree(cache.root))).toEqual([`blobs/sha256/${encodedOf(digestOf("{}"))}`]);
  });

  test("leaves no view when an archive is hostile", async () => {
    const bad = world.reference("user/hostile:v1");
    await pushArtifact(world, bad, {
      layers: [
        { mediaType: DOCKER_LICENSE, content: "MIT" },
        { mediaType: DOCKER_CONFIG_TAR, content: tar({ name: "../../evil", content: "x" }) },
      ],
      configType: DOCKER_CONFIG_V01,
    });
    const cache = world.newCache();
    await failureOf(pullTo(cache, { reference: bad }), "content");
    expect(Object.keys(tree(cache.root)).filter((path) => !path.startsWith("blobs/"))).toEqual([]);
  });

  test("leaves no view when an archive has another file for a layer's path", async () => {
    const bad = world.reference("user/contradiction:v1");
    const layers = [
      { mediaType: DOCKER_LICENSE, content: "MIT", annotations: filepath("terms.txt") },
      { mediaType: DOCKER_CONFIG_TAR, content: tar({ name: "terms.txt", content: "GPL" }) },
    ];
    await pushArtifact(world, bad, { layers, configType: DOCKER_CONFIG_V01 });
    const { message } = await failureOf(pullTo(world.newCache(), { reference: bad }), "content");
    expect(message).toContain("two different files");
  });

  test("says that a reference isn't there", async () => {
    const options = { reference: world.reference("user/nothing:v1") };
    await failureOf(pullTo(world.newCache(), options), "not-found");
  });

  test("says so when the cache can't be written", async () => {
    const cache = world.newCache();
    writeFileSync(cache.root, "a file where a directory should be");
    await failureOf(pullTo(cache), "disk");
  });
});

describe("offline", () => {
  test("a model comes from the cache without a request", async () => {
    const cache = world.newCache();
    const online = await pullTo(cache);
    world.requests.length = 0;
    expect(await pullTo(cache, { offline: true })).toEqual(online);
    expect((await pullTo(cache, { offline: true, reference: { ...reference, digest } })).path).toBe(
      online.path,
    );
    expect(world.requests).toEqual([]);
  });

  test("what isn't cached fails", async () => {
    const cache = world.newCache();
    await failureOf(pullTo(cache, { offline: true }), "offline");
    await pullTo(cache, { include: ["LICENSE"] });
    await failureOf(pullTo(cache, { offline: true }), "offline");
  });
});

describe("--verify", () => {
  test("fetches again what was damaged in the cache, and puts it back into the view", async () => {
    const cache = world.newCache();
    const { path } = await pullTo(cache);
    const shard = join(path, "model-00002-of-00003.safetensors");
    const tokenizer = join(path, "tokenizer.json");
    for (const file of [shard, tokenizer]) {
      const bytes = readFileSync(file);
      bytes[100] = (bytes[100] ?? 0) ^ 1;
      chmodSync(file, 0o644);
      writeFileSync(file, bytes);
    }
    await pullTo(cache);
    expect(tree(path)).not.toEqual(tree(model));

    const events: TransferEvent[] = [];
    await pullTo(cache, { verify: true, onEvent: (event) => events.push(event) });
    expect(tree(path)).toEqual(tree(model));
    expect(events.filter(({ type }) => type === "warning").length).toBeGreaterThanOrEqual(2);
    expect(events.filter(({ type }) => type === "verified").length).toBeLessThanOrEqual(1);
  });

  test("fetches nothing when all is right", async () => {
    const cache = world.newCache();
    await pullTo(cache);
    world.requests.length = 0;
    await pullTo(cache, { verify: true });
    expect(world.requests).toEqual(["GET manifests"]);
  });
});

test("a file that was removed from a view is put back", async () => {
  const cache = world.newCache();
  const { path } = await pullTo(cache);
  rmSync(join(path, "config.json"));
  rmSync(join(path, "model-00001-of-00003.safetensors"));
  await pullTo(cache);
  expect(tree(path)).toEqual(tree(model));
});

describe("weights without names", () => {
  const shards = [tensorFile({ a: 1, b: 2 }), tensorFile({ c: 3 })];
  const weight = (content: Uint8Array | undefined) => ({
    mediaType: DOCKER_SAFETENSORS,
    content: content ?? "",
  });
  const pullOf = async (name: string, layers: Parameters<typeof pushArtifact>[2]["layers"]) => {
    const at = world.reference(`user/${name}:v1`);
    await pushArtifact(world, at, { layers, configType: DOCKER_CONFIG_V01 });
    return (await pullTo(world.newCache(), { reference: at })).path;
  };

  test("get those of the index in the configuration archive, whatever their order", async () => {
    const index = {
      weight_map: { a: "x-1.safetensors", b: "x-1.safetensors", c: "x-2.safetensors" },
    };
    const path = await pullOf("indexed-weights", [
      weight(shards[1]),
      weight(tensorFile({ a: 1, b: 2, c: 3 })),
      weight(shards[0]),
      {
        mediaType: DOCKER_CONFIG_TAR,
        content: tar({ name: "model.safetensors.index.json", content: text(index) }),
      },
    ]);
    expect(readdirSync(path).sort()).toEqual([
      "model.safetensors.index.json",
      "x-1.safetensors",
      "x-2.safetensors",
    ]);
    expect(digestOf(readFileSync(join(path, "x-1.safetensors")))).toBe(digestOf(shards[0] ?? ""));
  });

  test("get numbers and an index in the order of the manifest, as packers of the format write them", async () => {
    const path = await pullOf("numbered-weights", [
      weight(shards[0]),
      weight(shards[1]),
      { mediaType: DOCKER_CONFIG_TAR, content: tar({ name: "config.json", content: "{}" }) },
    ]);
    const index = JSON.parse(readFileSync(join(path, "model.safetensors.index.json"), "utf8"));
    expect(index).toEqual({
      metadata: { total_size: 24 },
      weight_map: {
        a: "model-00001-of-00002.safetensors",
        b: "model-00001-of-00002.safetensors",
        c: "model-00002-of-00002.safetensors",
      },
    });
    expect(digestOf(readFileSync(join(path, "model-00002-of-00002.safetensors")))).toBe(
      digestOf(shards[1] ?? ""),
    );
  });

  test("are model.safetensors when there is one", async () => {
    expect(readdirSync(await pullOf("single-weight", [weight(shards[0])]))).toEqual([
      "model.safetensors",
    ]);
  });

  test("are refused when they aren't safetensors", async () => {
    const at = world.reference("user/not-weights:v1");
    const layers = [{ mediaType: DOCKER_SAFETENSORS, content: "not weights at all" }];
    await pushArtifact(world, at, { layers, configType: DOCKER_CONFIG_V01 });
    const cache = world.newCache();
    await failureOf(pullTo(cache, { reference: at }), "content");
    expect(treeIfThere(join(cache.root, "views"))).toEqual({});
  });

  test("of GGUF are numbered by their headers, a projector apart", async () => {
    const part = (no: number) => ({
      mediaType: DOCKER_GGUF,
      content: ggufFile({ "general.architecture": "llama", "split.no": no, "split.count": 2 }),
    });
    const clip = { mediaType: DOCKER_GGUF, content: ggufFile({ "general.architecture": "clip" }) };
    const path = await pullOf("split-gguf", [part(1), clip, part(0)]);
    expect(readdirSync(path).sort()).toEqual([
      "model-00001-of-00002.gguf",
      "model-00002-of-00002.gguf",
      "model.mmproj",
    ]);
    expect(digestOf(readFileSync(join(path, "model-00001-of-00002.gguf")))).toBe(
      digestOf(part(0).content),
    );
  });
});

describe("resolving a reference", () => {
  test("pulls it and tells where it is", async () => {
    const cache = world.newCache();
    const resolved = await resolve({ reference, client: world.client, cache });
    expect(resolved.digest).toBe(digest);
    expect(tree(resolved.path ?? "")).toEqual(tree(model));
  });

  test("without pulling tells its digest, and where it is only when it is there", async () => {
    const cache = world.newCache();
    const options = { reference, client: world.client, cache, pull: false };
    expect(await resolve(options)).toEqual({
      reference: `${world.registry.host}/user/model:v1`,
      digest,
      path: null,
      format: "docker",
    });
    expect(existsSync(cache.root)).toBe(false);
    const { path } = await pullTo(cache);
    expect((await resolve(options)).path).toBe(path);
  });
});
