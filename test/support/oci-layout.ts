/** Images, an index and a referrer in an OCI image layout (image-spec, image-layout.md). */
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { packTar } from "modern-tar";
import { type Descriptor, EMPTY_DESCRIPTOR } from "../../src/oci/descriptor.ts";
import type { ImageManifest, Index } from "../../src/oci/manifest.ts";
import {
  OCI_IMAGE_CONFIG,
  OCI_IMAGE_INDEX,
  OCI_IMAGE_MANIFEST,
  OCI_LAYER,
} from "../../src/oci/media-types.ts";
import { describe } from "../../src/oci/partial.ts";

export interface Layout {
  readonly directory: string;
  /** One image, tagged `image`. */
  readonly image: Descriptor;
  /** Two images for two platforms, tagged `index`. */
  readonly index: Descriptor;
  /** An artifact whose subject is the image, tagged `sbom`. */
  readonly sbom: Descriptor;
}

export const SBOM_TYPE = "application/vnd.example.sbom.v1+json";

/** Writes a layout with one image, one index and one referrer. */
export async function makeLayout(directory: string): Promise<Layout> {
  await mkdir(join(directory, "blobs", "sha256"), { recursive: true });

  const put = async (mediaType: string, bytes: Uint8Array): Promise<Descriptor> => {
    const descriptor = describe(mediaType, bytes);
    await Bun.write(join(directory, "blobs", descriptor.digest.replace(":", "/")), bytes);
    return descriptor;
  };
  const putJson = (mediaType: string, value: object) =>
    put(mediaType, new TextEncoder().encode(JSON.stringify(value)));

  const makeImage = async (architecture: string): Promise<Descriptor> => {
    const layers = [
      await makeLayer("etc/motd", `hello ${architecture}\n`),
      await makeLayer("a", "b"),
    ];
    const manifest: ImageManifest = {
      schemaVersion: 2,
      mediaType: OCI_IMAGE_MANIFEST,
      config: await putJson(OCI_IMAGE_CONFIG, {
        architecture,
        os: "linux",
        config: { Cmd: ["/bin/true"] },
        rootfs: { type: "layers", diff_ids: layers.map((layer) => layer.diffId) },
      }),
      layers: await Promise.all(layers.map((layer) => put(OCI_LAYER, layer.bytes))),
    };
    return putJson(OCI_IMAGE_MANIFEST, manifest);
  };

  const image = await makeImage("amd64");
  const children: Descriptor[] = [
    { ...image, platform: { os: "linux", architecture: "amd64" } },
    { ...(await makeImage("arm64")), platform: { os: "linux", architecture: "arm64" } },
  ];
  const indexContent: Index = {
    schemaVersion: 2,
    mediaType: OCI_IMAGE_INDEX,
    manifests: children,
  };
  const index = await putJson(OCI_IMAGE_INDEX, indexContent);
  await putJson(EMPTY_DESCRIPTOR.mediaType, {});
  const sbomContent: ImageManifest = {
    schemaVersion: 2,
    mediaType: OCI_IMAGE_MANIFEST,
    artifactType: SBOM_TYPE,
    config: EMPTY_DESCRIPTOR,
    layers: [await putJson(SBOM_TYPE, { packages: [] })],
    subject: image,
    annotations: { "org.example.origin": "test" },
  };
  const sbom = await putJson(OCI_IMAGE_MANIFEST, sbomContent);

  const tagged = (descriptor: Descriptor, tag: string): Descriptor => ({
    ...descriptor,
    annotations: { "org.opencontainers.image.ref.name": tag },
  });
  const top: Index = {
    schemaVersion: 2,
    mediaType: OCI_IMAGE_INDEX,
    manifests: [tagged(image, "image"), tagged(index, "index"), tagged(sbom, "sbom")],
  };
  await Bun.write(join(directory, "index.json"), JSON.stringify(top));
  await Bun.write(join(directory, "oci-layout"), '{"imageLayoutVersion":"1.0.0"}');
  return { directory, image, index, sbom };
}

/** A gzipped tar with one file, and the digest of what is inside the compression. */
async function makeLayer(name: string, body: string) {
  const tar = await packTar([{ header: { name, size: body.length, mode: 0o644 }, body }]);
  return { bytes: Bun.gzipSync(tar), diffId: describe("", tar).digest };
}
