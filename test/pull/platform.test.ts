import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { DOCKER_CONFIG_V01, DOCKER_LICENSE } from "../../src/model/docker.ts";
import { type Descriptor, type Platform, parsePlatform } from "../../src/oci/descriptor.ts";
import { DOCKER_MANIFEST_LIST, OCI_IMAGE_INDEX } from "../../src/oci/media-types.ts";
import { hostPlatform } from "../../src/oci/partial.ts";
import type { Reference } from "../../src/oci/reference.ts";
import type { Cache } from "../../src/pull/cache.ts";
import { inspect } from "../../src/pull/inspect.ts";
import { pull } from "../../src/pull/pull.ts";
import { resolve } from "../../src/pull/resolve.ts";
import { failureOf, pushArtifact, startWorld, type World } from "./fixtures.ts";

let world: World;
beforeAll(async () => {
  world = await startWorld();
});
afterAll(() => world.registry.stop());

const repository = () => world.reference("user/indexed");
const at = (text: string) => parsePlatform(text) as Platform;

/** A model that is one licence, pushed by digest, as an entry of an index. */
async function model(content: string, more: Partial<Descriptor> = {}): Promise<Descriptor> {
  const digest = await pushArtifact(world, world.reference("user/indexed:latest"), {
    layers: [{ mediaType: DOCKER_LICENSE, content }],
    configType: DOCKER_CONFIG_V01,
  });
  const { descriptor } = await world.client.getManifest({ ...repository(), digest });
  return { ...descriptor, ...more };
}

async function index(
  tag: string,
  manifests: readonly Descriptor[],
  mediaType = OCI_IMAGE_INDEX,
): Promise<Descriptor> {
  const bytes = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType, manifests }));
  const reference = world.reference(`user/indexed:${tag}`);
  const digest = await world.client.putManifest(reference, bytes, mediaType);
  return { mediaType, digest, size: bytes.byteLength };
}

/** The content of the licence that is pulled; resolve and inspect have to mean the same. */
async function pulled(tag: string, platform?: string, cache = world.newCache()): Promise<string> {
  const reference = world.reference(`user/indexed:${tag}`);
  const options = { reference, cache, client: world.client };
  const asked = platform ? { platform: at(platform) } : {};
  const { digest, path } = await pull({ ...options, ...asked });
  const resolved = await resolve({ ...options, ...asked, pull: false });
  expect([resolved.digest, resolved.path]).toEqual([digest, path]);
  expect((await inspect(world.client, reference, asked)).digest).toBe(digest);
  return readFileSync(join(path, "LICENSE"), "utf8");
}

describe("a model from an index", () => {
  test("is the one for the platform, in an OCI index and in a Docker manifest list", async () => {
    const manifests = [
      await model("proof", { platform: at("unknown/unknown") }),
      await model("arm v6", { platform: at("linux/arm/v6") }),
      await model("arm v7", { platform: at("linux/arm/v7") }),
      await model("windows", { platform: at("windows/amd64:10.0.1") }),
    ];
    for (const mediaType of [OCI_IMAGE_INDEX, DOCKER_MANIFEST_LIST]) {
      await index("several", manifests, mediaType);
      expect(await pulled("several", "linux/arm/v7")).toBe("arm v7");
      expect(await pulled("several", "windows/amd64")).toBe("windows");
    }
  });

  test("is by default the one for this machine", async () => {
    const platform = hostPlatform();
    await index("own", [
      await model("other", { platform: at("linux/s390x") }),
      await model("own", { platform }),
    ]);
    expect(await pulled("own")).toBe("own");
  });

  test("is the only one that there is, unless another platform was asked for by name", async () => {
    await index("single", [
      await model("single", { platform: at("linux/s390x") }),
      await model("proof", { platform: at("unknown/unknown") }),
    ]);
    expect(await pulled("single")).toBe("single");
    await failureOf(pulled("single", "linux/arm64"), "not-found");
  });

  test("is the only one without a platform, for everyone", async () => {
    await index("general", [await model("general")]);
    expect(await pulled("general")).toBe("general");
    expect(await pulled("general", "linux/riscv64")).toBe("general");
  });

  test("may be in an index within the index", async () => {
    const inner = await index("inner", [
      await model("nested", { platform: at("linux/arm64") }),
      await model("other", { platform: at("linux/amd64") }),
    ]);
    const deaf = await index("deaf", [await model("x", { platform: at("linux/s390x") })]);
    await index("outer", [deaf, inner, await model("own", { platform: at("linux/riscv64") })]);
    expect(await pulled("outer", "linux/arm64")).toBe("nested");
    expect(await pulled("outer", "linux/riscv64")).toBe("own");
    const { message } = await failureOf(pulled("outer", "linux/ppc64le"), "not-found");
    for (const name of ["linux/arm64", "linux/amd64", "linux/s390x", "linux/riscv64"]) {
      expect(message).toContain(name);
    }
  });

  test("that isn't for the platform is said with all that there is, and what to do", async () => {
    const gguf = await model("gguf", { artifactType: "application/x-gguf" });
    await index("none", [
      await model("amd", { platform: at("linux/amd64") }),
      gguf,
      await model("bare"),
    ]);
    const { message } = await failureOf(pulled("none", "linux/arm64"), "not-found");
    expect(message).toContain("linux/amd64");
    expect(message).toContain(`application/x-gguf (${gguf.digest})`);
    expect(message).toContain("--platform");
    expect(message).not.toContain("\n");
  });

  test("is refused when indexes are nested without end", async () => {
    let inner = await index("deep", [await model("deep", { platform: at("linux/s390x") })]);
    for (let depth = 0; depth < 5; depth++) inner = await index("deep", [inner]);
    await failureOf(pulled("deep"), "content");
    const other = await model("other", { platform: at("linux/s390x") });
    const many: Descriptor[] = [];
    for (let n = 0; n < 20; n++) many.push(await index(`wide-${n}`, [other, unwanted(n)]));
    await index("wide", many);
    await failureOf(pulled("wide", "linux/arm64"), "content");
  });
});

/** An entry for a platform that nobody asks for. */
function unwanted(n: number): Descriptor {
  const digest = `sha256:${String(n).padStart(64, "0")}` as Descriptor["digest"];
  return { mediaType: OCI_IMAGE_INDEX, digest, size: 1, platform: at("plan9/mips") };
}

describe("offline", () => {
  const offline = (reference: Reference, cache: Cache, platform?: Platform) =>
    pull({ reference, cache, client: world.client, offline: true, platform });

  test("a reference gives each platform what it was pulled for, and no other", async () => {
    const reference = world.reference("user/indexed:offline");
    await index("offline", [
      await model("arm", { platform: at("linux/arm64") }),
      await model("amd", { platform: at("linux/amd64") }),
    ]);
    const cache = world.newCache();
    await pulled("offline", "linux/arm64", cache);
    await pulled("offline", "linux/amd64", cache);
    world.requests.length = 0;
    for (const [platform, content] of [
      ["linux/arm64", "arm"],
      ["linux/amd64", "amd"],
    ] as const) {
      const { path } = await offline(reference, cache, at(platform));
      expect(readFileSync(join(path, "LICENSE"), "utf8")).toBe(content);
    }
    await failureOf(offline(reference, cache, at("linux/s390x")), "offline");
    expect(world.requests).toEqual([]);
  });

  test("a tag that became a plain manifest forgets its platforms", async () => {
    const reference = world.reference("user/indexed:plain");
    await index("plain", [await model("old", { platform: at("linux/arm64") })]);
    const cache = world.newCache();
    await pulled("plain", "linux/arm64", cache);
    const { digest } = await model("new");
    const { bytes } = await world.client.getManifest({ ...repository(), digest });
    const { mediaType } = (await world.client.getManifest({ ...repository(), digest })).descriptor;
    await world.client.putManifest(reference, bytes, mediaType);
    await pulled("plain", "linux/arm64", cache);
    expect((await offline(reference, cache, at("linux/arm64"))).digest).toBe(digest);
    expect((await offline(reference, cache)).digest).toBe(digest);
  });
});
