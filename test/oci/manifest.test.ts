import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { digestOf } from "../../src/oci/digest.ts";
import {
  InvalidManifestError,
  MAX_MANIFEST_SIZE,
  type Manifest,
  parseManifest,
} from "../../src/oci/manifest.ts";
import {
  DOCKER_MANIFEST,
  DOCKER_MANIFEST_LIST,
  DOCKER_MANIFEST_SCHEMA1,
  DOCKER_MANIFEST_SCHEMA1_SIGNED,
  OCI_ARTIFACT_MANIFEST,
  OCI_IMAGE_CONFIG,
  OCI_IMAGE_INDEX,
  OCI_IMAGE_MANIFEST,
  OCI_LAYER,
} from "../../src/oci/media-types.ts";

const descriptor = (content: string, mediaType = OCI_LAYER) => ({
  mediaType,
  digest: digestOf(content),
  size: content.length,
});

const image = {
  schemaVersion: 2,
  mediaType: OCI_IMAGE_MANIFEST,
  config: descriptor("{}", OCI_IMAGE_CONFIG),
  layers: [descriptor("one"), descriptor("two")],
};
const index = {
  schemaVersion: 2,
  mediaType: OCI_IMAGE_INDEX,
  manifests: [
    {
      ...descriptor("manifest", OCI_IMAGE_MANIFEST),
      platform: { os: "linux", architecture: "amd64" },
    },
  ],
};
const artifact = { mediaType: OCI_ARTIFACT_MANIFEST, blobs: [descriptor("blob")] };

const parse = (json: unknown, contentType?: string): Manifest =>
  parseText(JSON.stringify(json), contentType);
const parseText = (text: string, contentType?: string): Manifest =>
  parseManifest(new TextEncoder().encode(text), contentType);

/** What is said about a manifest that is refused. */
function refusal(read: () => Manifest): string {
  try {
    read();
  } catch (error) {
    expect(error).toBeInstanceOf(InvalidManifestError);
    const { message } = error as Error;
    expect(message).not.toMatch(/[\n\r\0]/);
    expect(message.length).toBeLessThan(1000);
    return message;
  }
  throw new Error("the manifest was accepted");
}

describe("a manifest's kind", () => {
  const kinds: [string, object, Manifest["kind"]][] = [
    ["an OCI image", image, "image"],
    ["a Docker schema 2 image", { ...image, mediaType: DOCKER_MANIFEST }, "image"],
    ["an OCI index", index, "index"],
    ["a Docker manifest list", { ...index, mediaType: DOCKER_MANIFEST_LIST }, "index"],
    ["a deprecated OCI artifact", artifact, "artifact"],
    ["a type that nobody here can read", { mediaType: "application/vnd.example+json" }, "other"],
  ];
  test.each(kinds)("follows from the media type: %s", (_, json, kind) => {
    const manifest = parse(json);
    expect(manifest.kind).toBe(kind);
    expect(manifest.mediaType).toBe((json as { mediaType: string }).mediaType);
    expect<object>(manifest.content).toEqual(json);
    expect(parse(json, manifest.mediaType)).toEqual(manifest);
  });

  test("follows from the Content-Type where the mediaType field is missing", () => {
    const { mediaType: _, ...bare } = image;
    expect(parse(bare, DOCKER_MANIFEST)).toMatchObject({
      kind: "image",
      mediaType: DOCKER_MANIFEST,
    });
    expect(parse({ ...bare, mediaType: null }, OCI_IMAGE_MANIFEST).kind).toBe("image");
  });

  test("follows from the shape where both are missing", () => {
    const { mediaType: _, ...bareImage } = image;
    const { mediaType: __, ...bareIndex } = index;
    expect(parse(bareImage).mediaType).toBe(OCI_IMAGE_MANIFEST);
    expect(parse(bareIndex).mediaType).toBe(OCI_IMAGE_INDEX);
    expect(refusal(() => parse({ schemaVersion: 2 }))).toContain("it has no mediaType");
    expect(refusal(() => parse({}))).toContain("it has no mediaType");
  });

  test("doesn't follow from the generic types that are sent when nobody set one", () => {
    for (const generic of [
      "application/json",
      "application/octet-stream",
      "",
      "application/json; charset=utf-8",
    ]) {
      expect(parse(index, generic).mediaType).toBe(OCI_IMAGE_INDEX);
    }
  });

  test("ignores parameters and case of the Content-Type", () => {
    expect(parse(image, `${OCI_IMAGE_MANIFEST}; charset=utf-8`).mediaType).toBe(OCI_IMAGE_MANIFEST);
    expect(parse(image, OCI_IMAGE_MANIFEST.toUpperCase()).mediaType).toBe(OCI_IMAGE_MANIFEST);
    expect(parse({ ...image, mediaType: OCI_IMAGE_MANIFEST.toUpperCase() }).kind).toBe("image");
  });
});

describe("a manifest whose mediaType isn't its Content-Type is refused", () => {
  test.each([
    [OCI_IMAGE_MANIFEST, OCI_IMAGE_INDEX],
    [OCI_IMAGE_INDEX, OCI_IMAGE_MANIFEST],
    [OCI_IMAGE_MANIFEST, DOCKER_MANIFEST],
    [OCI_IMAGE_MANIFEST, "application/vnd.example+json"],
    ["application/vnd.example+json", OCI_IMAGE_MANIFEST],
    ["", OCI_IMAGE_MANIFEST],
  ])("mediaType %j sent as %s", (mediaType, contentType) => {
    const both = { ...image, mediaType };
    expect(refusal(() => parse(both, contentType))).toBe(
      `invalid manifest: its mediaType "${mediaType}" isn't the Content-Type "${contentType}"`,
    );
  });
});

describe("a media type that can't stand in a header is refused", () => {
  test.each(["", "a", "a/b\r\nset-cookie: x", "a/b;c", "/", "ä/ö", `a/${"b".repeat(5000)}`])(
    "%.60j",
    (mediaType) => {
      expect(refusal(() => parse({ mediaType }))).toContain("isn't a media type");
    },
  );

  test("also when it is the Content-Type", () => {
    expect(refusal(() => parse({}, "nonsense"))).toContain('"nonsense" isn\'t a media type');
    expect(refusal(() => parse({}, "a/b, c/d"))).toContain("isn't a media type");
  });

  test.each([[1], [true], [[]], [{}], [[OCI_IMAGE_MANIFEST]]])(
    "and one that is %j",
    (mediaType) => {
      expect(refusal(() => parse({ ...image, mediaType }))).toContain("isn't a string");
      expect(refusal(() => parse({ ...image, mediaType }, OCI_IMAGE_MANIFEST))).toContain(
        "isn't a string",
      );
    },
  );
});

describe("Docker schema 1 is refused by name", () => {
  const schema1 = { schemaVersion: 1, name: "a", tag: "b", fsLayers: [], history: [] };

  test.each([DOCKER_MANIFEST_SCHEMA1, DOCKER_MANIFEST_SCHEMA1_SIGNED])("sent as %s", (type) => {
    expect(refusal(() => parse(schema1, type))).toContain("Docker schema 1, which isn't supported");
  });

  test("sent without a type, or as JSON", () => {
    expect(refusal(() => parse(schema1))).toContain("Docker schema 1");
    expect(refusal(() => parse(schema1, "application/json"))).toContain("Docker schema 1");
  });

  test("but a type that nobody here can read may have a schemaVersion of its own", () => {
    expect(parse({ mediaType: "application/vnd.example+json", schemaVersion: 1 }).kind).toBe(
      "other",
    );
  });

  test("hidden behind the media type of an image", () => {
    expect(refusal(() => parse({ ...image, schemaVersion: 1 }))).toContain("Docker schema 1");
  });
});

describe("an image manifest is refused", () => {
  for (const field of ["schemaVersion", "config", "layers"] as const) {
    test(`without ${field}`, () => {
      const { [field]: _, ...rest } = image;
      expect(refusal(() => parse(rest))).toContain(field);
    });
  }

  const wrong: object[] = [
    { schemaVersion: "2" },
    { schemaVersion: 3 },
    { schemaVersion: null },
    { config: null },
    { config: [] },
    { config: "sha256:abc" },
    { config: {} },
    { layers: {} },
    { layers: "none" },
    { layers: [null] },
    { layers: [[]] },
    { layers: [digestOf("one")] },
    { layers: [{}] },
    { layers: [{ ...descriptor("one"), size: "3" }] },
    { layers: [{ ...descriptor("one"), size: -1 }] },
    { layers: [{ ...descriptor("one"), size: 1e300 }] },
    { layers: [{ ...descriptor("one"), digest: "sha256:../../x" }] },
    { layers: [{ ...descriptor("one"), digest: `${digestOf("one")}0` }] },
    { layers: [{ ...descriptor("one"), mediaType: null }] },
    { subject: "sha256:abc" },
    { subject: {} },
    { subject: { ...descriptor("subject"), digest: 1 } },
    { annotations: [] },
    { annotations: "a" },
    { annotations: { a: 1 } },
    { annotations: { a: null } },
    { annotations: { "line\nfeed": {} } },
    { artifactType: 1 },
    { artifactType: "a\nb" },
  ];
  test.each(wrong)("with %j", (fields) => {
    refusal(() => parse({ ...image, ...fields }));
  });
});

describe("an index is refused", () => {
  test("without schemaVersion or manifests", () => {
    expect(refusal(() => parse({ ...index, schemaVersion: undefined }))).toContain("schemaVersion");
    expect(refusal(() => parse({ ...index, manifests: undefined }))).toContain("manifests");
  });

  test.each([
    { manifests: {} },
    { manifests: [null] },
    { manifests: [{ ...descriptor("a"), platform: "linux/amd64" }] },
    { manifests: [{ ...descriptor("a"), platform: { os: "linux" } }] },
    { manifests: [{ ...descriptor("a"), platform: { os: null, architecture: "amd64" } }] },
    { subject: 1 },
    { annotations: { a: [] } },
  ])("with %j", (fields) => {
    refusal(() => parse({ ...index, ...fields }));
  });
});

test("a deprecated artifact needs nothing, but what it has must be right", () => {
  expect(parse({ mediaType: OCI_ARTIFACT_MANIFEST }).kind).toBe("artifact");
  refusal(() => parse({ ...artifact, blobs: {} }));
  refusal(() => parse({ ...artifact, blobs: [{}] }));
  refusal(() => parse({ ...artifact, subject: [] }));
});

describe("what is unusual but legal is accepted", () => {
  const legal: [string, object][] = [
    ["no layers", { ...image, layers: [] }],
    ["no manifests", { ...index, manifests: [] }],
    ["an index of indexes", { ...index, manifests: [descriptor("x", OCI_IMAGE_INDEX)] }],
    ["the same layer twice", { ...image, layers: [image.layers[0], image.layers[0]] }],
    ["an empty layer", { ...image, layers: [descriptor("")] }],
    ["fields that the spec doesn't know", { ...image, "org.example": [{ deep: { x: null } }] }],
    ["an empty artifactType", { ...image, artifactType: "" }],
    ["empty annotations", { ...image, annotations: {} }],
    ["annotations with odd keys", JSON.parse('{"annotations":{"":"","__proto__":"x","é\\n":"y"}}')],
    ["a subject that is nowhere", { ...image, subject: descriptor("nowhere") }],
    ["a subject of an index", { ...index, subject: descriptor("nowhere") }],
    [
      "an unknown digest algorithm",
      { ...image, layers: [{ ...descriptor("x"), digest: "b3:aZ" }] },
    ],
    ["sha512", { ...image, config: { ...image.config, digest: digestOf("{}", "sha512") } }],
    ["layers to fetch elsewhere", { ...image, layers: [{ ...descriptor("x"), urls: ["a:b"] }] }],
    [
      "a type that RamaLama writes",
      { ...image, layers: [descriptor("x", "text/plain; charset=x")] },
    ],
  ];
  test.each(legal)("%s", (_, json) => {
    const whole = { ...image, ...json };
    const manifest = "manifests" in json ? parse(json) : parse(whole);
    expect<object>(manifest.content).toEqual("manifests" in json ? json : whole);
  });

  test("a null that Go writes for an empty list or an absent field", () => {
    const nulls = { ...image, layers: null, annotations: null, subject: null, artifactType: null };
    const bare = { ...image, layers: [] };
    expect<object>(parse(nulls).content).toEqual(bare);
    expect<object>(parse({ ...index, manifests: null }).content).toEqual({
      ...index,
      manifests: [],
    });
    const layer = { ...descriptor("x"), urls: null, annotations: null, platform: null, data: null };
    expect<object>(parse({ ...image, layers: [layer] }).content).toEqual({
      ...image,
      layers: [descriptor("x")],
    });
    const platform = { os: "linux", architecture: "arm64", variant: null };
    expect(
      parse({ ...index, manifests: [{ ...descriptor("x"), platform }] }).content,
    ).toMatchObject({
      manifests: [{ platform: { os: "linux", architecture: "arm64" } }],
    });
  });
});

describe("content that two readers would read differently is refused (CVE-2021-41190)", () => {
  test("an image with manifests, even with none in them", () => {
    for (const manifests of [index.manifests, [], {}, "x"]) {
      expect(refusal(() => parse({ ...image, manifests }))).toContain("must not have manifests");
    }
  });

  test("an index with layers or a config", () => {
    for (const more of [{ layers: image.layers }, { layers: [] }, { config: image.config }]) {
      expect(refusal(() => parse({ ...index, ...more }))).toContain(
        "must not have layers or config",
      );
    }
  });

  test("both shapes under no type, or under either Content-Type", () => {
    const { mediaType: _, ...both } = { ...image, ...index };
    for (const type of [
      undefined,
      OCI_IMAGE_MANIFEST,
      OCI_IMAGE_INDEX,
      DOCKER_MANIFEST,
      DOCKER_MANIFEST_LIST,
    ]) {
      expect(refusal(() => parse(both, type))).toContain("must not have");
    }
  });

  test("a duplicate mediaType, in either order", () => {
    const text = JSON.stringify(index);
    for (const twice of [
      text.replace("{", `{"mediaType":"${OCI_IMAGE_MANIFEST}",`),
      text.replace(/}$/, `,"mediaType":"${OCI_IMAGE_INDEX}"}`),
      text.replace("{", `{"\\u006dediaType":"${OCI_IMAGE_INDEX}",`),
    ]) {
      expect(refusal(() => parseText(twice, OCI_IMAGE_INDEX))).toContain(
        'has the key "mediaType" twice',
      );
    }
  });

  test("a duplicate key in a descriptor or in annotations", () => {
    const text = JSON.stringify({ ...image, annotations: { a: "1" } });
    const digest = `"digest":"${image.config.digest}"`;
    expect(refusal(() => parseText(text.replace(digest, `${digest},${digest}`)))).toContain(
      '"digest"',
    );
    expect(refusal(() => parseText(text.replace('{"a":"1"', '{"a":"2","a":"1"')))).toContain('"a"');
  });

  test("a field that Go's decoder reads as another, because it ignores case", () => {
    const cases: [object, string, string][] = [
      [{ ...image, Layers: [] }, "Layers", "layers"],
      [{ ...image, MANIFESTS: index.manifests }, "MANIFESTS", "manifests"],
      [{ ...image, MediaType: OCI_IMAGE_INDEX }, "MediaType", "mediaType"],
      [{ ...image, layerſ: [] }, "layerſ", "layers"],
      [{ ...index, Config: image.config }, "Config", "config"],
      [{ ...image, config: { ...image.config, Digest: digestOf("evil") } }, "Digest", "digest"],
      [{ ...image, layers: [{ ...descriptor("x"), SIZE: 1 }] }, "SIZE", "size"],
    ];
    for (const [json, written, wanted] of cases) {
      expect(refusal(() => parse(json))).toBe(
        `invalid manifest: the field "${written}" must be written "${wanted}"`,
      );
    }
  });

  test("but annotations may differ in case alone", () => {
    const annotations = { Title: "a", title: "b", mediaType: "c", MediaType: "d" };
    expect(parse({ ...image, annotations }).content).toMatchObject({ annotations });
  });
});

describe("hostile bytes are refused", () => {
  const hostile: [string, string | Uint8Array][] = [
    ["nothing", ""],
    ["white space", "  \n"],
    ["no JSON", "<html></html>"],
    ["a cut manifest", JSON.stringify(image).slice(0, -1)],
    ["JSON and more", `${JSON.stringify(image)}x`],
    ["two manifests", JSON.stringify(image).repeat(2)],
    ["a byte order mark", `\uFEFF${JSON.stringify(image)}`],
    [
      "bytes that aren't UTF-8",
      Buffer.from(JSON.stringify(image).replace("sha", "\xff"), "latin1"),
    ],
    ["UTF-16", Buffer.from(JSON.stringify(image), "utf16le")],
    ["a NUL at the end", `${JSON.stringify(image)}\0`],
    ["comments", `/* */${JSON.stringify(image)}`],
    ["a trailing comma", JSON.stringify(image).replace(/}$/, ",}")],
    ["single quotes", JSON.stringify(image).replaceAll('"', "'")],
    ["null", "null"],
    ["a number", "1"],
    ["a string", JSON.stringify(JSON.stringify(image))],
    ["a list", JSON.stringify([image])],
    ["a compressed manifest", Bun.gzipSync(JSON.stringify(image))],
  ];
  test.each(hostile)("%s", (_, content) => {
    const bytes = typeof content === "string" ? new TextEncoder().encode(content) : content;
    expect(refusal(() => parseManifest(bytes, OCI_IMAGE_MANIFEST))).toMatch(
      /^invalid manifest: it isn't/,
    );
  });

  test("nesting without end is refused before it is parsed, which would take its time", () => {
    for (const opening of ["[", '{"a":', '[{"a":']) {
      const text = opening.repeat(MAX_MANIFEST_SIZE / opening.length);
      expect(refusal(() => parseText(text))).toBe(
        "invalid manifest: it is nested deeper than 1000 levels",
      );
    }
  });

  test("nesting of any depth does no harm", () => {
    for (const depth of [100, 990, 10_000, 500_000]) {
      const lists = "[".repeat(depth) + "]".repeat(depth);
      const objects = '{"a":'.repeat(depth) + 1 + "}".repeat(depth);
      for (const nested of [lists, objects]) {
        for (const field of ["x", "layers", "config", "annotations"]) {
          const text = JSON.stringify({ ...image, [field]: "@" }).replace('"@"', nested);
          try {
            parseText(text);
          } catch (error) {
            expect(error).toBeInstanceOf(InvalidManifestError);
          }
        }
      }
    }
  });

  test("keys of the prototype don't pollute and aren't taken for fields", () => {
    const text = JSON.stringify(image).replace(
      "{",
      '{"__proto__":{"manifests":[],"polluted":1},"constructor":{"prototype":{"polluted":1}},',
    );
    expect(parseText(text).kind).toBe("image");
    expect(({} as { polluted?: number }).polluted).toBeUndefined();
    const { layers: _, ...bare } = image;
    const inherited = JSON.stringify(bare).replace("{", '{"__proto__":{"layers":[]},');
    expect(refusal(() => parseText(inherited))).toContain("layers");
  });

  test("any JSON gives a manifest or an InvalidManifestError", () => {
    const fields = fc.dictionary(
      fc.constantFrom(
        "schemaVersion",
        "mediaType",
        "config",
        "layers",
        "manifests",
        "subject",
        "x",
      ),
      fc.oneof(
        fc.jsonValue(),
        fc.constantFrom<unknown>(
          2,
          OCI_IMAGE_MANIFEST,
          OCI_IMAGE_INDEX,
          image.config,
          image.layers,
        ),
      ),
    );
    const types = fc.constantFrom(undefined, OCI_IMAGE_MANIFEST, OCI_IMAGE_INDEX, "a/b", "x");
    fc.assert(
      fc.property(fc.oneof(fields, fc.jsonValue()), types, (json, contentType) => {
        try {
          expect(parse(json, contentType).content).toBeObject();
        } catch (error) {
          expect(error).toBeInstanceOf(InvalidManifestError);
        }
      }),
      { numRuns: 1000 },
    );
  });
});

test("a manifest of ten thousand layers is read whole", () => {
  const layers = Array.from({ length: 10_000 }, (_, i) => ({
    ...descriptor(`layer ${i}`),
    annotations: { "org.opencontainers.image.title": `shard-${i}.safetensors` },
  }));
  const manifest = parse({ ...image, layers });
  expect(manifest).toMatchObject({ kind: "image", content: { layers: { length: 10_000 } } });
});
