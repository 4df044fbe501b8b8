/** A repository of the registry under test, and the requests that most tests begin with. */
import { expect } from "bun:test";
import { type Digest, digestOf } from "../../src/oci/digest.ts";
import {
  OCI_IMAGE_CONFIG,
  OCI_IMAGE_INDEX,
  OCI_IMAGE_MANIFEST,
  OCI_LAYER,
} from "../../src/oci/media-types.ts";

let created = 0;

/** A repository that nobody has pushed to. */
export function newRepository(registry: { readonly url: string }): TestRepository {
  created += 1;
  return new TestRepository(registry.url, `spec/repository-${created}`);
}

/** Content that no other test has. */
export function newContent(size = 100): Uint8Array<ArrayBuffer> {
  return crypto.getRandomValues(new Uint8Array(size));
}

export interface TestDescriptor {
  mediaType: string;
  digest: Digest;
  size: number;
  [field: string]: unknown;
}

/** What a descriptor says of content. */
export function descriptorOf(content: Uint8Array | string, mediaType: string): TestDescriptor {
  const size = typeof content === "string" ? Buffer.byteLength(content) : content.byteLength;
  return { mediaType, digest: digestOf(content), size };
}

export class TestRepository {
  constructor(
    readonly registryUrl: string,
    readonly name: string,
  ) {}

  /** The absolute URL of what is below the repository: `blobs/<digest>`. */
  url(path: string): string {
    return new URL(`/v2/${this.name}/${path}`, this.registryUrl).href;
  }

  /** Redirects are never followed: what the registry itself answers is what is tested. */
  fetch(path: string, init: RequestInit = {}): Promise<Response> {
    return fetch(this.url(path), { redirect: "manual", ...init });
  }

  /** Begins an upload session. */
  async startUpload(query = ""): Promise<Upload> {
    const response = await this.fetch(`blobs/uploads/${query}`, { method: "POST" });
    expect(response.status).toBe(202);
    return new Upload(this, locationOf(response, this.registryUrl));
  }

  async pushBlob(content: Uint8Array | string, algorithm = "sha256"): Promise<Digest> {
    const digest = digestOf(content, algorithm);
    const upload = await this.startUpload();
    const response = await upload.put(digest, content);
    expect(response.status).toBe(201);
    return digest;
  }

  /** Sends a manifest as it is, under a tag or digest. */
  putManifest(
    reference: string,
    manifest: object | string | Uint8Array,
    headers: Record<string, string> = {},
  ): Promise<Response> {
    const isRaw = typeof manifest === "string" || manifest instanceof Uint8Array;
    const body = isRaw ? manifest : JSON.stringify(manifest);
    const type = isRaw ? undefined : (manifest as { mediaType?: string }).mediaType;
    return this.fetch(`manifests/${reference}`, {
      method: "PUT",
      body,
      headers: { "content-type": type ?? OCI_IMAGE_MANIFEST, ...headers },
    });
  }

  /** Pushes a manifest by its digest, and its tag where one is given. */
  async pushManifest(manifest: object, tag?: string): Promise<TestDescriptor> {
    const body = JSON.stringify(manifest);
    const { mediaType = OCI_IMAGE_MANIFEST } = manifest as { mediaType?: string };
    const descriptor = descriptorOf(body, mediaType);
    for (const reference of tag === undefined ? [descriptor.digest] : [tag]) {
      const response = await this.putManifest(reference, body, { "content-type": mediaType });
      expect(response.status).toBe(201);
    }
    return descriptor;
  }

  /** Pushes a config and a layer, and returns the image manifest that names them. */
  async newImage(more: object = {}): Promise<Record<string, unknown>> {
    const config = JSON.stringify({ created: created, random: Math.random() });
    const layer = newContent();
    await this.pushBlob(config);
    await this.pushBlob(layer);
    return {
      schemaVersion: 2,
      mediaType: OCI_IMAGE_MANIFEST,
      config: descriptorOf(config, OCI_IMAGE_CONFIG),
      layers: [descriptorOf(layer, OCI_LAYER)],
      ...more,
    };
  }

  async pushImage(tag?: string, more: object = {}): Promise<TestDescriptor> {
    return this.pushManifest(await this.newImage(more), tag);
  }

  async pushIndex(
    manifests: readonly object[],
    tag?: string,
    more: object = {},
  ): Promise<TestDescriptor> {
    return this.pushManifest(
      { schemaVersion: 2, mediaType: OCI_IMAGE_INDEX, manifests, ...more },
      tag,
    );
  }

  async tags(query = ""): Promise<string[]> {
    const response = await this.fetch(`tags/list${query}`);
    expect(response.status).toBe(200);
    return ((await response.json()) as { tags: string[] }).tags;
  }

  async hasBlob(digest: string): Promise<boolean> {
    return (await this.fetch(`blobs/${digest}`, { method: "HEAD" })).status === 200;
  }

  async hasManifest(reference: string): Promise<boolean> {
    return (await this.fetch(`manifests/${reference}`, { method: "HEAD" })).status === 200;
  }
}

/** An upload session; it goes on at the newest location that the registry gave. */
export class Upload {
  constructor(
    readonly repository: TestRepository,
    public location: string,
  ) {}

  /** Its location with a digest appended, as a client does that doesn't look into it. */
  closing(digest: string): string {
    return `${this.location}${this.location.includes("?") ? "&" : "?"}digest=${digest}`;
  }

  /** Sends a chunk; with `start`, it says where the chunk belongs. */
  async patch(
    chunk: Uint8Array | string | ReadableStream<Uint8Array>,
    start?: number,
  ): Promise<Response> {
    const response = await fetch(this.location, {
      method: "PATCH",
      body: chunk,
      headers: {
        "content-type": "application/octet-stream",
        ...(start !== undefined && { "content-range": rangeOf(chunk as Uint8Array, start) }),
      },
    });
    this.follow(response);
    return response;
  }

  /** Closes the session, with the last chunk where there is one. */
  put(digest: string, chunk?: Uint8Array | string, start?: number): Promise<Response> {
    return fetch(this.closing(digest), {
      method: "PUT",
      ...(chunk !== undefined && { body: chunk }),
      headers: {
        "content-type": "application/octet-stream",
        ...(start !== undefined && { "content-range": rangeOf(chunk as Uint8Array, start) }),
      },
    });
  }

  async status(): Promise<Response> {
    const response = await fetch(this.location);
    this.follow(response);
    return response;
  }

  cancel(): Promise<Response> {
    return fetch(this.location, { method: "DELETE" });
  }

  private follow(response: Response): void {
    if (response.headers.has("location")) {
      this.location = locationOf(response, this.repository.registryUrl);
    }
  }
}

function rangeOf(chunk: Uint8Array | string, start: number): string {
  const length = typeof chunk === "string" ? Buffer.byteLength(chunk) : chunk.byteLength;
  return `${start}-${start + length - 1}`;
}

/** The absolute form of a `Location`, which may be relative. */
export function locationOf(response: Response, base: string): string {
  const location = response.headers.get("location");
  expect(location).toBeString();
  return new URL(location ?? "", base).href;
}

/**
 * That a response is an error in the spec's JSON format ("Error Codes"), whose first code is one of
 * `codes`.
 */
export async function expectError(
  response: Response,
  status: number | readonly number[],
  ...codes: string[]
): Promise<void> {
  const text = await response.text();
  const expected = typeof status === "number" ? [status] : status;
  expect(`${expected.includes(response.status)} ${response.status} ${text}`).toStartWith("true ");
  expect(response.headers.get("content-type")).toStartWith("application/json");
  expectErrorBody(text, ...codes);
}

export function expectErrorBody(text: string, ...codes: string[]): void {
  const { errors } = JSON.parse(text) as {
    errors: { code: string; message?: unknown; detail?: unknown }[];
  };
  expect(errors).not.toBeEmpty();
  for (const error of errors) {
    expect(error.code).toMatch(/^[A-Z_]+$/);
    expect(error.message ?? "").toBeString();
    expect(Object.keys(error)).not.toContain("stack");
  }
  if (codes.length > 0) expect(codes).toContain(errors[0]?.code as string);
}

/** The address in a `Link` header with `rel="next"` (RFC 8288), or undefined without one. */
export function nextPage(response: Response): string | undefined {
  const link = response.headers.get("link");
  if (link === null) return undefined;
  const match = /^<([^>]+)>; *rel="?next"?$/.exec(link);
  expect(match?.[1]).toBeString();
  return new URL(match?.[1] ?? "", response.url).href;
}
