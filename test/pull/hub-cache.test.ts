import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { DOCKER_CONFIG_TAR, DOCKER_CONFIG_V01, DOCKER_LICENSE } from "../../src/model/docker.ts";
import { type Digest, digestOf, encodedOf } from "../../src/oci/digest.ts";
import { parseReference, type Reference } from "../../src/oci/reference.ts";
import { defaultHub, hubName } from "../../src/pull/hub-cache.ts";
import { type PullOptions, pull } from "../../src/pull/pull.ts";
import { push } from "../../src/pull/push.ts";
import { filepath } from "../model/fixtures.ts";
import { makeModel } from "../support/model.ts";
import { temporaryDirectory } from "../support/temp.ts";
import { failureOf, pushArtifact, startWorld, tree, treeIfThere, type World } from "./fixtures.ts";
import { tar } from "./tar.ts";

let world: World;
let model: string;
let reference: Reference;
let digest: Digest;
beforeAll(async () => {
  world = await startWorld();
  model = temporaryDirectory();
  await makeModel(model);
  mkdirSync(join(model, "1_Pooling"));
  writeFileSync(join(model, "1_Pooling/config.json"), "{}");
  reference = world.reference("team/org/name:v1");
  ({ digest } = await push({ path: model, reference, client: world.client, format: "docker" }));
});
afterAll(() => world.registry.stop());

const pullTo = (hub: string, options: Partial<PullOptions> = {}) =>
  pull({ reference, client: world.client, cache: world.newCache(), hub, ...options });

/** The files of a snapshot by their content. */
function shown(snapshot: string): Record<string, string> {
  const paths = Object.keys(tree(snapshot));
  return Object.fromEntries(
    paths.map((path) => [path, digestOf(readFileSync(join(snapshot, path)))]),
  );
}

function texts(...names: string[]) {
  const layers = names.map((name) => ({
    mediaType: DOCKER_LICENSE,
    content: `the text of ${name}`,
    annotations: filepath(name),
  }));
  return { layers, configType: DOCKER_CONFIG_V01 };
}

describe("the layout hf-cache", () => {
  test("has blobs by digest, a snapshot of symlinks, and refs that lead to it", async () => {
    const hub = join(temporaryDirectory(), "hub");
    const { path, format } = await pullTo(hub);
    const own = join(hub, "models--org--name");
    const revision = encodedOf(digest).slice(0, 40);
    expect(path).toBe(join(own, "snapshots", revision));
    expect(format).toBe("docker");
    expect(shown(path)).toEqual(tree(model));
    for (const ref of ["main", "v1"]) {
      expect(readFileSync(join(own, "refs", ref), "utf8")).toBe(revision);
    }
    const weights = encodedOf(
      digestOf(readFileSync(join(model, "model-00001-of-00002.safetensors"))),
    );
    expect(readlinkSync(join(path, "model-00001-of-00002.safetensors"))).toBe(
      `../../blobs/${weights}`,
    );
    expect(readlinkSync(join(path, "1_Pooling/config.json"))).toStartWith("../../../blobs/");
    expect(readdirSync(own).sort()).toEqual([".ocireg", "blobs", "refs", "snapshots"]);
    expect(Object.keys(tree(join(own, ".ocireg")))).toEqual([`${revision}.json`]);
  });

  test.each(["blobs", "refs", ".ocireg", ".ocireg/partial", "snapshots", "snapshots/REVISION"])(
    "isn't written through a symlink in the place of %s",
    async (place) => {
      const hub = temporaryDirectory();
      const outside = temporaryDirectory();
      const revision = encodedOf(digest).slice(0, 40);
      const link = join(hub, "models--org--name", place.replace("REVISION", revision));
      mkdirSync(dirname(link), { recursive: true });
      symlinkSync(outside, link);
      await failureOf(pullTo(hub), "disk");
      expect(readdirSync(outside)).toEqual([]);
    },
  );

  test("isn't written through a symlink to a folder in a snapshot", async () => {
    const hub = temporaryDirectory();
    const outside = temporaryDirectory();
    writeFileSync(join(outside, "config.json"), "mine");
    const revision = encodedOf(digest).slice(0, 40);
    const snapshot = join(hub, "models--org--name/snapshots", revision);
    mkdirSync(snapshot, { recursive: true });
    symlinkSync(outside, join(snapshot, "1_Pooling"));
    await failureOf(pullTo(hub), "disk");
    expect(readFileSync(join(outside, "config.json"), "utf8")).toBe("mine");
  });

  test("costs one manifest request the second time", async () => {
    const hub = temporaryDirectory();
    const first = await pullTo(hub);
    world.requests.length = 0;
    expect(await pullTo(hub)).toEqual(first);
    expect(world.requests).toEqual(["GET manifests"]);
  });

  test("keeps the revisions of a tag that moves, and their common files once", async () => {
    const hub = temporaryDirectory();
    const at = world.reference("org/moving:latest");
    await pushArtifact(world, at, texts("a", "b"));
    const first = await pullTo(hub, { reference: at });
    await pushArtifact(world, at, texts("b", "c"));
    world.requests.length = 0;
    const second = await pullTo(hub, { reference: at });
    // The config and "c".
    expect(world.requests.filter((request) => request === "GET blobs")).toHaveLength(2);
    expect(Object.keys(shown(first.path))).toEqual(["a", "b"]);
    expect(Object.keys(shown(second.path))).toEqual(["b", "c"]);
    expect(statSync(join(first.path, "b")).ino).toBe(statSync(join(second.path, "b")).ino);
    const main = readFileSync(join(hub, "models--org--moving/refs/main"), "utf8");
    expect(second.path).toEndWith(main);
  });

  test("takes what the hub itself has put there by the digest of its content", async () => {
    const hub = temporaryDirectory();
    const at = world.reference("org/shared:v1");
    await pushArtifact(world, at, texts("weights"));
    const blobs = join(hub, "models--org--shared/blobs");
    mkdirSync(blobs, { recursive: true });
    writeFileSync(join(blobs, encodedOf(digestOf("the text of weights"))), "the text of weights");
    world.requests.length = 0;
    const { path } = await pullTo(hub, { reference: at });
    expect(Object.keys(shown(path))).toEqual(["weights"]);
    expect(world.requests.filter((request) => request === "GET blobs")).toHaveLength(1);
  });

  test("grows when a later pull includes more", async () => {
    const hub = temporaryDirectory();
    const part = await pullTo(hub, { include: ["config.json"] });
    expect(Object.keys(shown(part.path))).toEqual(["1_Pooling/config.json", "config.json"]);
    await pullTo(hub, { include: ["LICENSE"] });
    expect(Object.keys(shown(part.path))).toContain("LICENSE");
    expect((await pullTo(hub)).path).toBe(part.path);
    expect(shown(part.path)).toEqual(tree(model));
  });

  test("shows nothing after a failure", async () => {
    const hub = temporaryDirectory();
    const at = world.reference("org/hostile:v1");
    const { layers, configType } = texts("LICENSE");
    const archive = { mediaType: DOCKER_CONFIG_TAR, content: tar({ name: "../evil" }) };
    await pushArtifact(world, at, { layers: [...layers, archive], configType });
    await failureOf(pullTo(hub, { reference: at }), "content");
    const own = join(hub, "models--org--hostile");
    expect(readdirSync(own)).toEqual([".ocireg"]);
    expect(treeIfThere(join(hub, "..", "evil"))).toEqual({});
  });

  test("fetches again with --verify what was changed", async () => {
    const hub = temporaryDirectory();
    const { path } = await pullTo(hub);
    const blob = join(path, readlinkSync(join(path, "config.json")));
    expect(existsSync(blob)).toBe(true);
    writeFileSync(blob, readFileSync(blob).fill(7));
    await pullTo(hub, { verify: true });
    expect(shown(path)).toEqual(tree(model));
  });
});

describe("a model's name at the hub", () => {
  test.each([
    ["user/model:tag", "user/model"],
    ["alpine", "alpine"],
    [`registry.example:5000/team/org/name@sha256:${"a".repeat(64)}`, "org/name"],
    ["localhost/minilm", "minilm"],
    ["localhost/library/minilm", "library/minilm"],
  ])("of %s is %s", (text, name) => {
    expect(hubName(parseReference(text))).toBe(name);
  });

  test.each(["org/a--b", "org/a.git"])("can't be that of %s", async (text) => {
    const bad = parseReference(`${world.registry.host}/${text}`);
    await failureOf((async () => hubName(bad))(), "usage");
  });
});

test("the hub's cache is where Hugging Face's variables say", () => {
  expect(defaultHub({ HF_HUB_CACHE: "/a", HF_HOME: "/b" })).toBe("/a");
  expect(defaultHub({ HF_HOME: "/b", XDG_CACHE_HOME: "/c" })).toBe("/b/hub");
  expect(defaultHub({ XDG_CACHE_HOME: "/c" })).toBe("/c/huggingface/hub");
  expect(defaultHub({ HOME: "/d" })).toBe("/d/.cache/huggingface/hub");
});
