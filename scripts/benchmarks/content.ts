/** What the benchmarks push, and how: the same few requests to every registry. */
import { open } from "node:fs/promises";
import { OCI_EMPTY, OCI_IMAGE_MANIFEST } from "../../src/oci/media-types.ts";
import { describe } from "../../src/oci/partial.ts";

export interface SourceFile {
  readonly path: string;
  readonly digest: string;
  /** Bytes. */
  readonly size: number;
}

/** Writes a file of random bytes, a piece at a time. `size`: a multiple of 1 MiB. */
export async function makeFile(path: string, size: number): Promise<SourceFile> {
  const piece = new Uint8Array(2 ** 20);
  const hash = new Bun.CryptoHasher("sha256");
  await using file = await open(path, "w");
  for (let written = 0; written < size; written += piece.byteLength) {
    for (let i = 0; i < piece.byteLength; i += 65536) {
      crypto.getRandomValues(piece.subarray(i, i + 65536));
    }
    hash.update(piece);
    await file.write(piece);
  }
  return { path, digest: `sha256:${hash.digest("hex")}`, size };
}

/** POST and one PUT. @throws when the registry refuses */
export async function pushBlob(
  url: string,
  repository: string,
  digest: string,
  body: Blob | Uint8Array<ArrayBuffer>,
): Promise<void> {
  const session = await fetch(`${url}/v2/${repository}/blobs/uploads/`, { method: "POST" });
  await expectStatus(session, 202);
  const location = new URL(session.headers.get("location") ?? "", session.url);
  location.searchParams.set("digest", digest);
  const headers = { "content-type": "application/octet-stream" };
  await expectStatus(await fetch(location, { method: "PUT", body, headers }), 201);
}

/** Pushes a small image manifest to a tag. */
export async function pushManifest(url: string, repository: string, tag: string): Promise<void> {
  const empty = new TextEncoder().encode("{}");
  const config = describe(OCI_EMPTY, empty);
  await pushBlob(url, repository, config.digest, empty);
  const manifest = {
    schemaVersion: 2,
    mediaType: OCI_IMAGE_MANIFEST,
    artifactType: "application/vnd.example.benchmark",
    config,
    layers: [config],
  };
  const response = await fetch(`${url}/v2/${repository}/manifests/${tag}`, {
    method: "PUT",
    headers: { "content-type": OCI_IMAGE_MANIFEST },
    body: JSON.stringify(manifest),
  });
  await expectStatus(response, 201);
}

async function expectStatus(response: Response, status: number): Promise<void> {
  const body = await response.text();
  if (response.status !== status) {
    throw new Error(`${response.url} answered ${response.status} instead of ${status}: ${body}`);
  }
}
