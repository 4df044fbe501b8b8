/** Pulling, pushing and deleting manifests: distribution-spec, end-3, end-7 and end-9. */
import { isDigest, parseDigest } from "../../oci/digest.ts";
import { isTag } from "../../oci/reference.ts";
import { readBody } from "../body.ts";
import { RequestError } from "../errors.ts";
import type { Exchange } from "../exchange.ts";
import { noneMatch } from "../ranges.ts";

/** Tags that one PUT may set; the spec wants at least 10. */
const maxTags = 100;

export async function getManifest(
  { request, store }: Exchange,
  repository: string,
  reference: string,
): Promise<Response> {
  checkReference(reference);
  const { bytes, digest, mediaType } = await store.getManifest(repository, reference);
  const etag = `"${digest}"`;
  const headers = { "docker-content-digest": digest, etag, vary: "accept" };
  if (noneMatch(request.headers.get("if-none-match"), etag)) {
    return new Response(null, { status: 304, headers });
  }
  return new Response(request.method === "HEAD" ? null : bytes, {
    headers: {
      ...headers,
      "content-type": mediaType,
      "content-length": String(bytes.byteLength),
    },
  });
}

export async function putManifest(
  exchange: Exchange,
  repository: string,
  reference: string,
): Promise<Response> {
  checkReference(reference);
  const { request, query, store, policy } = exchange;
  const wanted = isTag(reference) ? undefined : parseDigest(reference);
  const tags = wanted ? tagParameters(query) : [reference];
  const bytes = await readBody(exchange, policy.maxManifestSize);
  exchange.pause();
  const { digest, subject } = await store.putManifest(repository, {
    bytes,
    contentType: request.headers.get("content-type") ?? undefined,
    digest: wanted,
    tags,
    sparse: policy.sparse,
  });
  return new Response(null, {
    status: 201,
    headers: {
      location: `/v2/${repository}/manifests/${digest}`,
      "docker-content-digest": digest,
      ...(subject && { "oci-subject": subject }),
      ...(wanted && tags.length > 0 && { "oci-tag": tags.join(", ") }),
    },
  });
}

export async function deleteManifest(
  { store }: Exchange,
  repository: string,
  reference: string,
): Promise<Response> {
  checkReference(reference);
  await store.deleteManifest(repository, reference);
  return new Response(null, { status: 202 });
}

/** @throws {RequestError} 400 when the text is neither a tag nor, by its colon, meant as a digest */
function checkReference(reference: string): void {
  if (isTag(reference) || isDigest(reference)) return;
  if (reference.includes(":")) parseDigest(reference);
  throw new RequestError(
    400,
    "MANIFEST_INVALID",
    `invalid tag ${JSON.stringify(reference.slice(0, 200))}`,
  );
}

/** The `tag` parameters of a push by digest (end-7b). */
function tagParameters(query: URLSearchParams): string[] {
  const tags = [...new Set(query.getAll("tag"))];
  if (tags.length > maxTags) {
    throw new RequestError(
      414,
      "MANIFEST_INVALID",
      `${tags.length} tags in one request, want at most ${maxTags}`,
    );
  }
  for (const tag of tags) {
    if (!isTag(tag)) {
      throw new RequestError(
        400,
        "MANIFEST_INVALID",
        `invalid tag ${JSON.stringify(tag.slice(0, 200))}`,
      );
    }
  }
  return tags;
}
