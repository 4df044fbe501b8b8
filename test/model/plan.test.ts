import { describe, expect, test } from "bun:test";
import {
  DOCKER_CHAT_TEMPLATE,
  DOCKER_CONFIG_TAR,
  DOCKER_CONFIG_V01,
  DOCKER_CONFIG_V02,
  DOCKER_DIRECTORY_TAR,
  DOCKER_GGUF,
  DOCKER_LICENSE,
  DOCKER_MMPROJ,
  DOCKER_SAFETENSORS,
} from "../../src/model/docker.ts";
import type { Format } from "../../src/model/format.ts";
import { MODELPACK_CONFIG, MODELPACK_MANIFEST } from "../../src/model/modelpack.ts";
import { configFor, describeModel, plan } from "../../src/model/plan.ts";
import type { Digest } from "../../src/oci/digest.ts";
import {
  DOCKER_IMAGE_CONFIG,
  OCI_EMPTY,
  OCI_IMAGE_CONFIG,
  OCI_IMAGE_INDEX,
  OCI_LAYER,
} from "../../src/oci/media-types.ts";
import { filepath, imageManifest, type LayerInput, layer, refusal, targetsOf } from "./fixtures.ts";

const title = (name: string) => ({ "org.opencontainers.image.title": name });

const docker = (...inputs: LayerInput[]) =>
  targetsOf(imageManifest(DOCKER_CONFIG_V01, inputs.map(layer)));

describe("the format of a manifest", () => {
  const kit = "application/vnd.kitops.modelkit.";
  const KIT = `${kit}model.v1.tar`;
  const MODELPACK = "application/vnd.cncf.model.doc.v1.tar";
  const OLLAMA = "application/vnd.ollama.image.model";

  test.each<[string, config: string, layers: string[], artifactType?: string]>([
    ["kitops", `${kit}config.v1+json`, [OLLAMA, DOCKER_GGUF], MODELPACK_MANIFEST],
    ["kitops", MODELPACK_CONFIG, [OLLAMA], `${kit}manifest.v1+json`],
    ["modelpack", DOCKER_CONFIG_V02, [OLLAMA, KIT], MODELPACK_MANIFEST],
    ["modelpack", MODELPACK_CONFIG, [KIT]],
    ["docker", DOCKER_CONFIG_V02, [OLLAMA, KIT, MODELPACK]],
    ["ollama", DOCKER_IMAGE_CONFIG, [OCI_LAYER, OLLAMA]],
    ["ollama", OCI_EMPTY, [KIT, MODELPACK, DOCKER_GGUF, OLLAMA]],
    ["kitops", OCI_EMPTY, [MODELPACK, DOCKER_GGUF, KIT]],
    ["modelpack", OCI_IMAGE_CONFIG, [OCI_LAYER, DOCKER_GGUF, MODELPACK]],
    ["docker", OCI_IMAGE_CONFIG, [OCI_LAYER, DOCKER_GGUF]],
    ["oras", OCI_IMAGE_CONFIG, [OCI_LAYER]],
  ])("is %s by the first sign of all, with config %s, layers %p, type %p", (...row) => {
    const [format, config, types, artifactType] = row;
    const layers = types.map((mediaType, i) =>
      layer({ mediaType, annotations: title(`file ${i}`) }),
    );
    expect(plan(imageManifest(config, layers, artifactType)).format).toBe(format as Format);
  });

  test("of an image is known when its layers have no titles", () => {
    const layers = [
      layer({ mediaType: OCI_LAYER, annotations: title("a") }),
      layer({ mediaType: OCI_LAYER, content: "2" }),
    ];
    expect(plan(imageManifest(OCI_IMAGE_CONFIG, layers)).format).toBe("image");
  });
});

describe("a Docker AI artifact", () => {
  test.each([DOCKER_CONFIG_V01, DOCKER_CONFIG_V02])("is known by its config %s", (type) => {
    expect(plan(imageManifest(type, [layer({ mediaType: DOCKER_GGUF })])).format).toBe("docker");
  });

  test("is known by its layers when the config is of another type", () => {
    const manifest = imageManifest("application/json", [layer({ mediaType: DOCKER_SAFETENSORS })]);
    expect(plan(manifest).format).toBe("docker");
  });

  test("without names has the names of the format", () => {
    expect(
      docker(
        { mediaType: DOCKER_SAFETENSORS },
        { mediaType: DOCKER_CONFIG_TAR },
        { mediaType: DOCKER_DIRECTORY_TAR },
        { mediaType: DOCKER_CHAT_TEMPLATE },
        { mediaType: DOCKER_LICENSE, content: "MIT" },
        { mediaType: DOCKER_LICENSE, content: "Apache" },
        { mediaType: DOCKER_MMPROJ },
        { mediaType: "application/vnd.docker.ai.gguf.v3.lora" },
        { mediaType: "application/vnd.docker.ai.dduf" },
      ),
    ).toEqual([
      "shard safetensors",
      "archive none",
      "archive none",
      "chat_template.jinja",
      "LICENSE",
      "LICENSE-2",
      "model.mmproj",
      "adapter.gguf",
      "model.dduf",
    ]);
  });

  test("of one GGUF file is model.gguf with a template beside it", () => {
    expect(docker({ mediaType: DOCKER_GGUF }, { mediaType: DOCKER_CHAT_TEMPLATE })).toEqual([
      "model.gguf",
      "template.jinja",
    ]);
  });

  test("of several GGUF files needs their headers", () => {
    expect(
      docker({ mediaType: DOCKER_GGUF, content: "1" }, { mediaType: DOCKER_GGUF, content: "2" }),
    ).toEqual(["shard gguf", "shard gguf"]);
  });

  test("with annotated files has those names, the file path before the title", () => {
    expect(
      docker(
        { mediaType: DOCKER_SAFETENSORS, content: "1", annotations: filepath("a.safetensors") },
        {
          mediaType: DOCKER_SAFETENSORS,
          content: "2",
          annotations: { ...title("no"), "org.cnai.model.filepath": "sub/b.safetensors" },
        },
        {
          mediaType: "application/vnd.docker.ai.model.file",
          annotations: { ...title("no"), "org.cncf.model.file.metadata+json": '{"name":"c.py"}' },
        },
        {
          mediaType: "application/vnd.docker.ai.later",
          annotations: { ...title("d.bin"), "org.cncf.model.file.metadata": "not JSON" },
        },
      ),
    ).toEqual(["a.safetensors", "sub/b.safetensors", "c.py", "d.bin"]);
  });

  test("unpacks archives whatever their annotations say", () => {
    expect(
      docker(
        { mediaType: DOCKER_CONFIG_TAR, annotations: filepath("vllm-config-123.tar") },
        { mediaType: DOCKER_DIRECTORY_TAR, annotations: filepath("../dir-tar-1.tar") },
      ),
    ).toEqual(["archive none", "archive none"]);
  });

  test("names weights by their headers when only some of them are annotated", () => {
    expect(
      docker(
        { mediaType: DOCKER_SAFETENSORS, content: "1", annotations: filepath("a.safetensors") },
        { mediaType: DOCKER_SAFETENSORS, content: "2" },
      ),
    ).toEqual(["shard safetensors", "shard safetensors"]);
  });

  test("numbers its weight layers in their order, by digest", () => {
    const layers = ["x", "y"].map((content) => layer({ mediaType: DOCKER_SAFETENSORS, content }));
    const { files } = plan(imageManifest(DOCKER_CONFIG_V01, layers));
    expect(files.map(({ layerName }) => layerName)).toEqual(
      layers.map(({ digest }, i) => `000${i}_${digest.slice("sha256:".length)}.safetensors`),
    );
  });

  test("leaves out a layer that is some file without a name, and says so", () => {
    const { files, warnings } = plan(
      imageManifest(DOCKER_CONFIG_V01, [
        layer({ mediaType: DOCKER_GGUF }),
        layer({ mediaType: "application/vnd.docker.ai.model.file" }),
      ]),
    );
    expect(files).toHaveLength(1);
    expect(warnings[0]).toContain("without a name");
  });

  test("leaves out a consolidated copy when the usual set is complete", () => {
    const weights = ["model-00001-of-00002", "model-00002-of-00002", "consolidated"].map(
      (name) => ({
        mediaType: DOCKER_SAFETENSORS,
        content: name,
        annotations: filepath(`${name}.safetensors`),
      }),
    );
    expect(docker(...weights, { mediaType: DOCKER_CONFIG_TAR })).toEqual([
      "model-00001-of-00002.safetensors",
      "model-00002-of-00002.safetensors",
      "archive none",
    ]);
    expect(docker(...weights.slice(1), { mediaType: DOCKER_CONFIG_TAR })).toHaveLength(3);
  });

  test("has at most one configuration archive", () => {
    expect(
      refusal(() =>
        docker(
          { mediaType: DOCKER_CONFIG_TAR, content: "1" },
          { mediaType: DOCKER_CONFIG_TAR, content: "2" },
        ),
      ),
    ).toContain("several layers");
  });

  test("may have one content under two names, and one name for one content twice", () => {
    const same = { mediaType: DOCKER_LICENSE, content: "MIT" };
    expect(
      docker(
        { ...same, annotations: filepath("A") },
        { ...same, annotations: filepath("B") },
        { ...same, annotations: filepath("A") },
      ),
    ).toEqual(["A", "B"]);
  });

  test("must not have one name for two contents", () => {
    const annotations = filepath("LICENSE");
    expect(
      refusal(() =>
        docker(
          { mediaType: DOCKER_LICENSE, content: "MIT", annotations },
          { mediaType: DOCKER_LICENSE, content: "GPL", annotations },
        ),
      ),
    ).toContain("two layers");
  });

  test.each(["../x", "/x", "a/../../x", "a\\b", ".ocireg/x", "a\0"])(
    "is refused with the path %p",
    (path) => {
      refusal(() => docker({ mediaType: DOCKER_LICENSE, annotations: filepath(path) }));
      refusal(() => docker({ mediaType: DOCKER_LICENSE, annotations: title(path) }));
    },
  );

  test("is refused when its config lists other layers", () => {
    const layers = [layer({ mediaType: DOCKER_GGUF })];
    const config = (diffIds: unknown) =>
      new TextEncoder().encode(JSON.stringify({ rootfs: { type: "rootfs", diff_ids: diffIds } }));
    const manifest = imageManifest(DOCKER_CONFIG_V01, layers);
    plan(manifest, config([layers[0]?.digest]));
    plan(manifest, config(["one", "too many"]));
    plan(manifest, new TextEncoder().encode("not JSON"));
    expect(refusal(() => plan(manifest, config([`sha256:${"0".repeat(64)}`])))).toContain(
      `${layers[0]?.digest} is sha256:000`,
    );
  });

  test("wants its config, up to 4 MiB", () => {
    const manifest = imageManifest(DOCKER_CONFIG_V01, [layer({ mediaType: DOCKER_GGUF })]);
    expect(configFor(manifest)?.mediaType).toBe(DOCKER_CONFIG_V01);
    if (manifest.kind !== "image") throw new Error("unreachable");
    manifest.content.config.size = 4 * 1024 * 1024 + 1;
    expect(refusal(() => configFor(manifest))).toContain("config");
  });

  test("is described by its config", () => {
    const manifest = imageManifest(DOCKER_CONFIG_V01, [layer({ mediaType: DOCKER_GGUF })]);
    const describe = (text: string) => describeModel(manifest, new TextEncoder().encode(text));
    const config = {
      config: {
        format: "gguf",
        quantization: "Q4_0",
        parameters: "1.10B",
        architecture: "llama",
        size: "606MiB",
        context_size: 4096,
        gguf: {},
      },
      descriptor: { createdAt: "2026-01-01T00:00:00Z" },
    };
    expect(describe(JSON.stringify(config))).toEqual({
      format: "gguf",
      quantization: "Q4_0",
      parameters: "1.10B",
      architecture: "llama",
      size: "606MiB",
      contextSize: 4096,
      created: "2026-01-01T00:00:00Z",
    });
    expect(describe("[]")).toEqual({});
    expect(describe("null")).toEqual({});
  });
});

describe("an artifact of an unknown format", () => {
  test("is its layers by title, those without as layer-<index>-<hash>, with a warning", () => {
    const layers = [
      layer({ mediaType: "text/plain", annotations: title("docs/readme.txt") }),
      layer({ mediaType: "application/octet-stream" }),
    ];
    const manifest = imageManifest(OCI_EMPTY, layers);
    const { format, files, warnings } = plan(manifest);
    expect(format).toBe("unknown");
    expect(files.map(({ target }) => target)).toEqual([
      { kind: "file", path: "docs/readme.txt" },
      { kind: "file", path: `layer-0001-${layers[1]?.digest.slice(7, 19)}` },
    ]);
    expect(warnings[0]).toContain("unknown format");
    expect(configFor(manifest)).toBeUndefined();
  });

  test("may be an artifact manifest", () => {
    const blobs = [layer({ mediaType: "text/plain", annotations: title("a") })];
    const mediaType = "application/vnd.oci.artifact.manifest.v1+json";
    expect(plan({ kind: "artifact", mediaType, content: { blobs } }).files).toHaveLength(1);
  });

  test("needs layers", () => {
    expect(refusal(() => plan(imageManifest(OCI_EMPTY, [])))).toContain("no layers");
    const mediaType = OCI_IMAGE_INDEX;
    refusal(() => plan({ kind: "other", mediaType, content: {} }));
  });

  test("needs digests that can be verified", () => {
    const odd = { ...layer({ mediaType: "text/plain" }), digest: "md5:abc" as Digest };
    expect(refusal(() => plan(imageManifest(OCI_EMPTY, [odd])))).toContain("can't be verified");
  });
});
