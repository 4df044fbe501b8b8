/** Registries that mean harm: whatever they send, a pull ends in good time and in little memory. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { digestOf } from "../../src/oci/digest.ts";
import type { TestRegistry } from "../support/registry.ts";
import { runOcireg } from "./compiled.ts";
import { startFaultProxy } from "./proxy.ts";
import {
  expectFailed,
  expectPulled,
  MEBIBYTE,
  onShards,
  pullThrough,
  type ServedModel,
  startModelRegistry,
} from "./scenario.ts";

let registry: TestRegistry;
let model: ServedModel;
beforeAll(async () => {
  ({ registry, model } = await startModelRegistry());
});
afterAll(() => registry.stop());

/** Counts what is taken of it. */
function endless(fill = 0x7b) {
  const chunk = new Uint8Array(256 * 1024).fill(fill);
  let sent = 0;
  async function* body() {
    for (;;) {
      yield chunk;
      sent += chunk.byteLength;
    }
  }
  return { body, sent: () => sent };
}

const OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json";

/** A manifest as the registry's answer to everything that asks for one. */
function answerManifest(manifest: unknown, headers: Record<string, string> = {}) {
  const body = typeof manifest === "string" ? manifest : JSON.stringify(manifest);
  return {
    answer: { status: 200, headers: { "content-type": OCI_MANIFEST, ...headers }, body },
  };
}

describe("a body that never ends", () => {
  test("as a manifest is left after the 4 MiB that one may have", async () => {
    const { body, sent } = endless();
    await using outcome = await pullThrough(model, ({ kind }) =>
      kind === "manifest"
        ? { answer: { status: 200, headers: { "content-type": OCI_MANIFEST }, body: body() } }
        : undefined,
    );
    expectFailed(outcome, "content");
    expect(sent()).toBeLessThan(32 * MEBIBYTE);
  });

  test.each([
    ["whatever is asked for", 200],
    ["as the part that is asked for", 206],
  ])("as a blob (%s) is left", async (_, status) => {
    const sources: { sent: () => number }[] = [];
    await using outcome = await pullThrough(
      model,
      onShards(model, (_number, { start, headers }) => {
        const { body, sent } = endless();
        sources.push({ sent });
        const [, end] = /-(\d+)$/.exec(headers.get("range") ?? "") ?? [];
        const { size = 0 } = model.shards[0] ?? {};
        const range = `bytes ${start}-${end ?? size - 1}/${size}`;
        return {
          answer: {
            status,
            headers: { ...(status === 206 && { "content-range": range }) },
            body: body(),
          },
        };
      }),
      { stallTimeout: 1500 },
    );
    expect(["content", "network"]).toContain(outcome.failure?.kind ?? "none");
    // Each request is left once it has brought what a blob can be, and some that was under way.
    const most = Math.max(...sources.map(({ sent }) => sent()));
    expect(most).toBeLessThan(model.size + 32 * MEBIBYTE);
  });

  test("as an error is left", async () => {
    const { body, sent } = endless();
    await using outcome = await pullThrough(
      model,
      onShards(model, () => ({ answer: { status: 404, body: body() } })),
    );
    expectFailed(outcome, "not-found");
    expect(sent()).toBeLessThan(16 * MEBIBYTE);
  });
});

describe("a manifest", () => {
  /** The model's, but for its first layer. */
  const image = (changed: Record<string, unknown>) => {
    const [first, ...others] = model.manifest.layers;
    return { ...model.manifest, layers: [{ ...first, ...changed }, ...others] };
  };

  test("of 100 MB isn't read", async () => {
    const { body, sent } = endless();
    const length = 100_000_000;
    await using outcome = await pullThrough(model, ({ kind }) =>
      kind === "manifest"
        ? {
            answer: {
              status: 200,
              headers: { "content-type": OCI_MANIFEST, "content-length": String(length) },
              body: body(),
            },
          }
        : undefined,
    );
    const { message } = expectFailed(outcome, "content");
    expect(message).toContain("4194304");
    expect(sent()).toBeLessThan(32 * MEBIBYTE);
  });

  test.each([
    ["too short", "sha256:abc"],
    ["too long", `sha256:${"a".repeat(65)}`],
    ["of another algorithm's length", `sha512:${"a".repeat(64)}`],
    ["in capitals", `sha256:${"A".repeat(64)}`],
    ["that climbs out", "sha256:../../../../etc/passwd"],
    ["that isn't a text", 5],
  ])("with a digest %s is refused", async (_, digest) => {
    await using outcome = await pullThrough(model, ({ kind }) =>
      kind === "manifest" ? answerManifest(image({ digest })) : undefined,
    );
    expectFailed(outcome, "content");
    expect(outcome.proxy.requests("blob")).toBe(0);
  });

  test.each([-1, 1.5, 1e300, "3", null])("with the size %p is refused", async (size) => {
    await using outcome = await pullThrough(model, ({ kind }) =>
      kind === "manifest" ? answerManifest(image({ size })) : undefined,
    );
    expectFailed(outcome, "content");
  });

  test("with more bytes than any disk has fails before it begins", async () => {
    await using outcome = await pullThrough(model, ({ kind }) =>
      kind === "manifest" ? answerManifest(image({ size: Number.MAX_SAFE_INTEGER })) : undefined,
    );
    expectFailed(outcome, "disk");
  });

  test.each([-1000, 1000])("whose size of a blob is off by %d ends the pull", async (by) => {
    await using outcome = await pullThrough(model, ({ kind }) => {
      if (kind !== "manifest") return undefined;
      const layers = model.manifest.layers.map((layer) => ({ ...layer, size: layer.size + by }));
      return answerManifest({ ...model.manifest, layers });
    });
    expectFailed(outcome, "content");
  });

  test("with a Docker-Content-Digest of something else isn't believed", async () => {
    for (const value of ["sha256:abc", digestOf("something else")]) {
      await using outcome = await pullThrough(model, ({ kind }) =>
        kind === "manifest" ? { headers: { "docker-content-digest": value } } : undefined,
      );
      // One that is none says nothing; one of something else is a contradiction.
      if (value === "sha256:abc" && !outcome.failure) await expectPulled(outcome, model);
      else expectFailed(outcome, "content");
    }
  });
});

describe("headers", () => {
  test.each([
    ["that never end", { "x-much": "x".repeat(32 * MEBIBYTE) }],
    ["that aren't HTTP", { "bad header\u0001": "\u0000" }],
  ])("%s end the pull", async (_, headers) => {
    await using outcome = await pullThrough(model, () => ({ headers }), { connectTimeout: 1000 });
    expect(["network", "content"]).toContain(outcome.failure?.kind ?? "none");
  });
});

test("a redirect from a public host into this machine isn't followed", async () => {
  await using victim = await startFaultProxy(model.host);
  // Serves as an HTTP proxy, so that the registry can have a public name here.
  await using proxy = await startFaultProxy(model.host, ({ kind }) =>
    kind === "blob"
      ? { answer: { status: 307, headers: { location: `http://${victim.host}/v2/` } } }
      : undefined,
  );
  const { code, stderr } = await runOcireg(["pull", "registry.example/models/small:v1"], {
    OCIREG_PLAIN_HTTP: "true",
    HTTP_PROXY: `http://${proxy.host}`,
    http_proxy: `http://${proxy.host}`,
    NO_PROXY: undefined,
    no_proxy: undefined,
  });
  expect(stderr).toContain("into this machine");
  expect(code).toBe(6);
  expect(proxy.requests("blob")).toBeGreaterThan(0);
  expect(victim.log).toEqual([]);
});
