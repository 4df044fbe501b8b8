import { describe, expect, test } from "bun:test";
import { describeModel, plan } from "../../src/model/plan.ts";
import { digestOf } from "../../src/oci/digest.ts";
import { OCI_EMPTY } from "../../src/oci/media-types.ts";
import { filepath, imageManifest, layer, refusal, targetsOf } from "./fixtures.ts";

const PREFIX = "application/vnd.kitops.modelkit.";
const CONFIG = `${PREFIX}config.v1+json`;
const part = (type: string, content = type, path?: string) =>
  layer({
    mediaType: `${PREFIX}${type}`,
    content,
    ...(path !== undefined && { annotations: filepath(path) }),
  });
const kit = (...layers: ReturnType<typeof part>[]) => imageManifest(CONFIG, layers);
const json = (value: unknown) => new TextEncoder().encode(JSON.stringify(value));

describe("a ModelKit", () => {
  test.each([
    [`${PREFIX}manifest.v1+json`, OCI_EMPTY, "a/b"],
    [undefined, CONFIG, "a/b"],
    [undefined, OCI_EMPTY, `${PREFIX}model.v1.tar`],
  ])("is known by artifact type %p, config type %p, layer type %p", (type, config, mediaType) => {
    const annotations = filepath("x");
    const manifest = imageManifest(config, [layer({ mediaType, annotations })], type);
    expect(plan(manifest).format).toBe("kitops");
  });

  test("is its archives in the root and its files by their paths, with the Kitfile", () => {
    const layers = [
      part("model.v1.tar"),
      part("modelpart.v1.tar+gzip"),
      part("code.v1.tar+zstd"),
      part("docs.v1.raw", "docs", "docs/README.md"),
      part("dataset.v1.raw+gzip", "data", "data.csv"),
      part("mcpb.v1.raw", "server"),
    ];
    const entry = (index: number, path: string) => ({
      path,
      digest: layers[index]?.digest,
      diffId: index === 0 || index > 2 ? layers[index]?.digest : digestOf(`diff ${index}`),
    });
    const config = {
      manifestVersion: "1.0.0",
      model: { name: "tiny", ...entry(0, "models/w.gguf"), parts: [entry(1, "lora")] },
      code: [entry(2, "src/")],
      docs: [entry(3, "docs/README.md")],
      mcpServers: [entry(5, "server.mcpb")],
    };
    const manifest = kit(...layers);
    expect(targetsOf(manifest, config)).toEqual([
      "archive none",
      "archive gzip",
      "archive zstd",
      "docs/README.md",
      "data.csv gzip",
      "server.mcpb",
      "Kitfile",
    ]);
    const { files } = plan(manifest, json(config));
    expect(files.slice(0, 3).map(({ diffId }) => diffId)).toEqual([
      undefined,
      digestOf("diff 1"),
      digestOf("diff 2"),
    ]);
  });

  test("writes the Kitfile as its author did, without what the packer added", () => {
    const digest = digestOf("x");
    const config = {
      manifestVersion: "1.0.0",
      package: { name: "tiny", authors: ["A: B", "yes"], digest: "mine" },
      model: {
        path: "w.gguf",
        digest,
        diffId: digest,
        parameters: { digest: "kept", deep: { er: { and: { "on#": [1, { x: null }] } } } },
        parts: [{ path: "lora", digest, diffId: digest }],
      },
      docs: [{ path: "README.md", digest, diffId: digest }],
    };
    const manifest = kit(part("model.v1.tar", "x"));
    const target = plan(manifest, json(config)).files.at(-1)?.target;
    if (target?.kind !== "file") throw new Error("want a file");
    expect(Bun.YAML.parse(target.content ?? "")).toEqual({
      ...config,
      package: { name: "tiny", authors: ["A: B", "yes"] },
      model: {
        path: "w.gguf",
        parameters: config.model.parameters,
        parts: [{ path: "lora" }],
      },
      docs: [{ path: "README.md" }],
    });
  });

  test("from before 0.5.0 has its entries by kind and order, and its archives beside them", () => {
    const manifest = kit(
      part("model.v1.tar+gzip"),
      part("code.v1.tar+gzip", "1"),
      part("code.v1.tar+gzip", "2"),
      part("docs.v1.tar+gzip"),
    );
    const config = {
      model: { path: "./models/tiny/w.gguf" },
      code: [{ path: "." }, { path: "src/lib/" }],
      docs: [{ path: "README.md" }],
    };
    expect(targetsOf(manifest, config).slice(0, -1)).toEqual([
      "archive gzip into models/tiny",
      "archive gzip",
      "archive gzip into src",
      "archive gzip",
    ]);
    refusal(() => targetsOf(manifest, { model: { path: "../../x/y" } }));
  });

  test("without its Kitfile is its archives in the root", () => {
    expect(targetsOf(kit(part("model.v1.tar"), part("code.v1.tar")))).toEqual([
      "archive none",
      "archive none",
    ]);
  });

  test("is refused with a single file that nothing names, or that leads outside", () => {
    expect(refusal(() => targetsOf(kit(part("docs.v1.raw"))))).toContain("names it");
    refusal(() => targetsOf(kit(part("docs.v1.raw", "x", "../x"))));
    const config = { docs: [{ path: "/etc/x", digest: digestOf("x") }] };
    refusal(() => targetsOf(kit(part("docs.v1.raw", "x")), config));
  });

  test("leaves out a layer of another type without a name, and says so", () => {
    const manifest = kit(part("model.v1.tar"), part("later.v2.thing"));
    expect(plan(manifest).warnings).toEqual([expect.stringContaining("later.v2.thing")]);
  });

  test.each(["registry.example/org/base:v1", `jozu.ml/org/base@${digestOf("x")}`])(
    "may have the model of %s",
    (path) => {
      const config = json({ model: { path }, code: [{ path: "src" }] });
      expect(plan(kit(part("code.v1.tar")), config).parent).toBe(path);
      expect(plan(kit(), config).parent).toBe(path);
      expect(plan(kit(part("model.v1.tar")), config).parent).toBeUndefined();
    },
  );

  test("without layers and without another's model is nothing to pull", () => {
    expect(refusal(() => plan(kit(), json({ model: { path: "w" } })))).toContain("no layers");
  });

  test("is described by its Kitfile", () => {
    const config = {
      package: { name: "kit", license: "MIT" },
      model: { name: "tiny", license: "Apache-2.0", format: "gguf" },
    };
    expect(describeModel(kit(part("model.v1.tar")), json(config))).toEqual({
      name: "tiny",
      format: "gguf",
      licenses: ["Apache-2.0", "MIT"],
    });
  });
});
