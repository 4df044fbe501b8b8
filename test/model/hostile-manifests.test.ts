/** Manifests of every format, damaged: they are read safely or refused in one line. */
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { Failure } from "../../src/lib/failure.ts";
import { checkedFilePath, PathSet } from "../../src/model/path.ts";
import { configFor, describeModel, plan } from "../../src/model/plan.ts";
import { digestOf } from "../../src/oci/digest.ts";
import { InvalidManifestError, parseManifest } from "../../src/oci/manifest.ts";

type Json = Record<string, unknown>;

const descriptor = (mediaType: string, annotations?: Json, more: Json = {}): Json => ({
  mediaType,
  digest: digestOf(JSON.stringify([mediaType, annotations, more])),
  size: 12,
  ...(annotations && { annotations }),
  ...more,
});
const path = (name: string) => ({ "org.cncf.model.filepath": name });
const title = (name: string) => ({ "org.opencontainers.image.title": name });
const manifest = (config: string, layers: Json[], more: Json = {}): Json => ({
  schemaVersion: 2,
  mediaType: "application/vnd.oci.image.manifest.v1+json",
  config: descriptor(config),
  layers,
  ...more,
});
const digests = (layers: Json[]) => layers.map(({ digest }) => digest);

const dockerLayers = [
  descriptor("application/vnd.docker.ai.safetensors", path("model.safetensors")),
  descriptor("application/vnd.docker.ai.vllm.config.tar"),
  descriptor("application/vnd.docker.ai.license"),
];
const packLayers = [
  descriptor("application/vnd.cncf.model.weight.v1.raw", path("model.safetensors")),
  descriptor("application/vnd.cncf.model.weight.config.v1.tar", path("config.json")),
  descriptor("application/vnd.cncf.model.weight.v1.raw", {
    "org.cncf.model.file.metadata+json": '{"name":"a/b","mode":420,"typeflag":0}',
  }),
];
const kitLayers = [
  descriptor("application/vnd.kitops.modelkit.model.v1.tar"),
  descriptor("application/vnd.kitops.modelkit.docs.v1.raw+gzip", path("README.md")),
];
const imageLayers = [
  descriptor("application/vnd.oci.image.layer.v1.tar+gzip"),
  descriptor("application/vnd.docker.image.rootfs.diff.tar"),
];

/** A whole artifact of each format: its manifest and config. */
const artifacts: Record<string, readonly [manifest: Json, config: Json]> = {
  docker: [
    manifest("application/vnd.docker.ai.model.config.v0.1+json", dockerLayers),
    {
      config: { format: "safetensors", context_size: 4096 },
      descriptor: { created: "2026-01-01T00:00:00Z" },
      rootfs: { type: "rootfs", diff_ids: digests(dockerLayers) },
    },
  ],
  modelpack: [
    manifest("application/vnd.cncf.model.config.v1+json", packLayers, {
      artifactType: "application/vnd.cncf.model.manifest.v1+json",
    }),
    {
      descriptor: { name: "x", licenses: ["MIT"], createdAt: "2026-01-01T00:00:00Z" },
      config: { architecture: "transformer", paramSize: "7b", precision: "bf16" },
      modelfs: { type: "layers", diffIds: digests(packLayers) },
    },
  ],
  kitops: [
    manifest("application/vnd.kitops.modelkit.config.v1+json", kitLayers),
    {
      manifestVersion: "1.0.0",
      package: { name: "x", license: "MIT" },
      model: { path: "w.gguf", digest: kitLayers[0]?.["digest"], parts: [{ path: "a" }] },
      docs: [{ path: "README.md", digest: kitLayers[1]?.["digest"], diffId: digestOf("x") }],
    },
  ],
  ollama: [
    manifest(
      "application/vnd.docker.container.image.v1+json",
      [
        descriptor("application/vnd.ollama.image.model"),
        descriptor("application/vnd.ollama.image.tensor", undefined, { name: "a.weight" }),
        descriptor("application/vnd.ollama.image.json", undefined, { name: "config.json" }),
        descriptor("application/vnd.ollama.image.license"),
      ],
      { mediaType: "application/vnd.docker.distribution.manifest.v2+json" },
    ),
    { model_format: "gguf", model_type: "8B", context_length: 8192 },
  ],
  oras: [
    manifest("application/vnd.oci.empty.v1+json", [
      descriptor("application/vnd.oci.image.layer.v1.tar", title("a")),
      descriptor("application/vnd.oci.image.layer.v1.tar+gzip", {
        ...title("weights"),
        "io.deis.oras.content.unpack": "true",
        "io.deis.oras.content.digest": digestOf("tar"),
      }),
    ]),
    {},
  ],
  "ORAS artifact manifest": [
    {
      mediaType: "application/vnd.oci.artifact.manifest.v1+json",
      artifactType: "application/vnd.unknown.artifact.v1",
      blobs: [descriptor("text/plain", title("a")), descriptor("text/plain")],
    },
    {},
  ],
  image: [
    manifest("application/vnd.oci.image.config.v1+json", imageLayers),
    { rootfs: { type: "layers", diff_ids: [digestOf("x"), imageLayers[1]?.["digest"]] } },
  ],
  unknown: [
    manifest("application/json", [descriptor("text/plain"), descriptor("a/b", title("a"))]),
    {},
  ],
};

/** Values that make bad types, sizes and paths of what they stand for. */
const damage = fc.oneof(
  fc.constantFrom<unknown>(
    null,
    true,
    -1,
    1.5,
    2 ** 63,
    Number.MAX_SAFE_INTEGER,
    "",
    "..",
    "../../etc/passwd",
    "/etc/passwd",
    "a\\b",
    "a\0b",
    "x".repeat(70_000),
    "a/".repeat(5000),
    "sha256:short",
    digestOf("other"),
    "application/vnd.ollama.image.model",
    "application/vnd.cncf.model.weight.v1.raw",
    "application/vnd.kitops.modelkit.docs.v1.raw",
    [],
    {},
    [[[[]]]],
    { toString: 1, __proto__: null },
  ),
  fc.jsonValue(),
);

/** Every place in a value, as the keys that lead there. */
function placesIn(value: unknown, prefix: readonly string[] = []): string[][] {
  if (typeof value !== "object" || value === null) return [];
  return Object.entries(value).flatMap(([key, item]) => [
    [...prefix, key],
    ...placesIn(item, [...prefix, key]),
  ]);
}

type Change = {
  readonly where: number;
  readonly how: "drop" | "twice" | "replace";
  readonly by: unknown;
};
const change: fc.Arbitrary<Change> = fc.record({
  where: fc.nat(),
  how: fc.constantFrom("drop", "twice", "replace"),
  by: damage,
});

function damaged<T>(whole: T, changes: readonly Change[]): T {
  const result = structuredClone(whole);
  for (const { where, how, by } of changes) {
    const places = placesIn(result);
    const place = places[where % Math.max(places.length, 1)];
    const key = place?.at(-1);
    if (!place || key === undefined) continue;
    // biome-ignore lint/suspicious/noExplicitAny: any place of any JSON
    const owner: any = place.slice(0, -1).reduce<any>((value, step) => value[step], result);
    if (how === "replace") owner[key] = structuredClone(by);
    else if (!Array.isArray(owner)) delete owner[key];
    else if (how === "drop") owner.splice(Number(key), 1);
    else owner.splice(Number(key), 0, structuredClone(owner[Number(key)]));
  }
  return result;
}

/** Reads an artifact as a pull does; a refusal is one line of kind `content`. */
function read(bytes: Uint8Array, config: Uint8Array): ReturnType<typeof plan> | undefined {
  try {
    const manifest = parseManifest(bytes);
    describeModel(manifest, config);
    return plan(manifest, configFor(manifest) && config);
  } catch (error) {
    if (error instanceof InvalidManifestError) return undefined;
    if (!(error instanceof Failure)) throw error;
    expect(error.kind).toBe("content");
    expect(error.message).not.toMatch(/[\r\n\0]/);
    expect(error.message.length).toBeLessThan(2000);
    return undefined;
  }
}

const encode = (value: unknown) => new TextEncoder().encode(JSON.stringify(value));

describe.each(Object.entries(artifacts))("an artifact of the format %s", (_, [whole, config]) => {
  test("is read when it is whole", () => {
    expect(read(encode(whole), encode(config))).toBeDefined();
  });

  test("is read without any one of its fields, or refused", () => {
    for (const part of [whole, config]) {
      for (const where of placesIn(part).keys()) {
        const changed = damaged(part, [{ where, how: "drop", by: undefined }]);
        const [bytes, settings] = part === whole ? [changed, config] : [whole, changed];
        read(encode(bytes), encode(settings));
      }
    }
  });

  test("damaged in any way has no path outside, and no two at one place", () => {
    const changes = fc.array(change, { minLength: 1, maxLength: 4 });
    fc.assert(
      fc.property(changes, fc.array(change, { maxLength: 3 }), (some, others) => {
        const result = read(encode(damaged(whole, some)), encode(damaged(config, others)));
        const paths = new PathSet();
        for (const { target } of result?.files ?? []) {
          if (target.kind === "file") {
            expect(checkedFilePath(target.path, "the plan")).toBe(target.path);
            paths.addFile(target.path, "the plan");
          } else if (target.kind === "archive") {
            for (const folder of [target.within, target.into]) {
              if (folder !== undefined) expect(checkedFilePath(folder, "the plan")).toBe(folder);
            }
          }
        }
      }),
      { numRuns: 300 },
    );
  });

  test("may have a config that is no JSON, or nested beyond all measure", () => {
    for (const text of ["", "nonsense", "[".repeat(100_000), `{"model":${'{"a":'.repeat(2000)}1`]) {
      expect(read(encode(whole), new TextEncoder().encode(text))).toBeDefined();
    }
  });
});

describe("ten thousand layers", () => {
  test.each([
    [
      "docker",
      "application/vnd.docker.ai.model.config.v0.2+json",
      "application/vnd.docker.ai.model.file",
    ],
    [
      "modelpack",
      "application/vnd.cncf.model.config.v1+json",
      "application/vnd.cncf.model.weight.v1.raw",
    ],
    [
      "kitops",
      "application/vnd.kitops.modelkit.config.v1+json",
      "application/vnd.kitops.modelkit.docs.v1.raw",
    ],
    ["oras", "application/vnd.oci.empty.v1+json", "text/plain"],
  ])("of the format %s are planned", (format, config, mediaType) => {
    const layers = Array.from({ length: 10_000 }, (_, i) =>
      descriptor(mediaType, title(`data/part-${i}/file-${i}.bin`)),
    );
    const result = plan(parseManifest(encode(manifest(config, layers))));
    expect({ format: result.format, files: result.files.length }).toEqual({
      format: format as typeof result.format,
      files: 10_000,
    });
  });
});
