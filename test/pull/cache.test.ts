import { describe, expect, test } from "bun:test";
import { mkdirSync, readlinkSync } from "node:fs";
import { join } from "node:path";
import { digestOf } from "../../src/oci/digest.ts";
import { hostPlatform } from "../../src/oci/partial.ts";
import { parseReference } from "../../src/oci/reference.ts";
import { Cache, defaultCacheRoot } from "../../src/pull/cache.ts";
import { temporaryDirectory } from "../support/temp.ts";

const platform = hostPlatform();
const [one, two] = [digestOf("1"), digestOf("2")];
const view = (digest: string) => `views/${digest.replace(":", "-")}`;

describe("where the cache is", () => {
  const all = { OCIREG_CACHE_DIR: "/c", VLLM_CACHE_ROOT: "/v", XDG_CACHE_HOME: "/x", HOME: "/h" };
  const none = Object.fromEntries(Object.keys(all).map((name) => [name, ""]));

  test.each([
    ["OCIREG_CACHE_DIR, before all else", all, "/c"],
    ["oci in VLLM_CACHE_ROOT", { ...all, OCIREG_CACHE_DIR: "" }, "/v/oci"],
    ["vllm/oci in XDG_CACHE_HOME", { XDG_CACHE_HOME: "/x", HOME: "/h" }, "/x/vllm/oci"],
    ["~/.cache/vllm/oci", { ...none, HOME: "/h" }, "/h/.cache/vllm/oci"],
  ])("is %s", (_, env, root) => {
    expect(defaultCacheRoot(env)).toBe(root);
  });
});

describe("the name of a reference in the cache", () => {
  const place = async (...texts: string[]) => {
    const cache = new Cache(temporaryDirectory());
    for (const text of texts) await cache.point(parseReference(text), one);
    return cache;
  };

  test.each([
    ["user/model:v1", "docker.io_user_model_v1"],
    ["model", "docker.io_library_model_latest"],
    ["localhost:5000/a/b:c", "localhost_5000_a_b_c"],
    [`ghcr.io/a/b@${one}`, `ghcr.io_a_b_sha256_${one.slice(7)}`],
  ])("of %s is %s, and it leads to its view", async (text, name) => {
    const cache = await place(text);
    expect(readlinkSync(join(cache.root, name))).toBe(view(one));
    expect(await cache.find(parseReference(text), platform)).toBe(one);
  });

  test("moves with the tag, in one step", async () => {
    const cache = await place("user/model:v1");
    await cache.point(parseReference("user/model:v1"), two);
    expect(readlinkSync(join(cache.root, "docker.io_user_model_v1"))).toBe(view(two));
  });

  test("gets a hash when another reference owns it, for good", async () => {
    const cache = await place("a/b_c:v1", "a_b/c:v1");
    await cache.point(parseReference("a_b/c:v1"), two);
    const hash = new Bun.CryptoHasher("sha256").update("docker.io/a_b/c:v1").digest("hex");
    const name = `docker.io_a_b_c_v1-${hash.slice(0, 8)}`;
    expect(readlinkSync(join(cache.root, "docker.io_a_b_c_v1"))).toBe(view(one));
    expect(readlinkSync(join(cache.root, name))).toBe(view(two));
    expect(await cache.find(parseReference("a/b_c:v1"), platform)).toBe(one);
    expect(await cache.find(parseReference("a_b/c:v1"), platform)).toBe(two);
  });

  test("fits a file system however long the reference is", async () => {
    const text = `registry.example.com/${"x".repeat(230)}:${"t".repeat(128)}`;
    const cache = await place(text, `${text.slice(0, -1)}u`);
    await cache.point(parseReference(text), two);
    expect(await cache.find(parseReference(text), platform)).toBe(two);
    expect(await cache.find(parseReference(`${text.slice(0, -1)}u`), platform)).toBe(one);
  });

  test("is given to one of many who want it at once", async () => {
    const root = temporaryDirectory();
    const texts = ["a/b_c:v1", "a_b/c:v1", "a_b/c:v1", "a/b_c:v1"];
    await Promise.all(texts.map((text) => new Cache(root).point(parseReference(text), one)));
    for (const text of texts)
      expect(await new Cache(root).find(parseReference(text), platform)).toBe(one);
  });

  test("is unknown until it was pulled, and when something else lies there", async () => {
    const cache = await place();
    expect(await cache.find(parseReference("user/model:v1"), platform)).toBeUndefined();
    mkdirSync(join(cache.root, "docker.io_user_model_v1"));
    expect(await cache.find(parseReference("user/model:v1"), platform)).toBeUndefined();
  });
});
