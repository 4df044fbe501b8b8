/** Pulling, checking and deleting blobs: distribution-spec, end-2 and end-10. */
import { parseDigest } from "../../oci/digest.ts";
import type { BlobContent } from "../../storage/store.ts";
import { RequestError } from "../errors.ts";
import type { Exchange } from "../exchange.ts";
import { noneMatch, parseRange, rangeApplies } from "../ranges.ts";

export async function getBlob(
  { request, store }: Exchange,
  repository: string,
  digestText: string,
): Promise<Response> {
  const digest = parseDigest(digestText);
  const blob = await store.openBlob(repository, digest);
  if (blob.kind === "redirect") {
    return new Response(null, { status: 307, headers: { location: blob.url } });
  }
  const etag = `"${digest}"`;
  const headers = {
    "docker-content-digest": digest,
    etag,
    "accept-ranges": "bytes",
    "cache-control": "private, max-age=31536000, immutable",
  };
  if (noneMatch(request.headers.get("if-none-match"), etag)) {
    return new Response(null, { status: 304, headers });
  }
  // For any other method than GET, Range means nothing (RFC 9110, 14.2).
  const range =
    request.method === "GET" && rangeApplies(request.headers.get("if-range"), etag)
      ? parseRange(request.headers.get("range"), blob.size)
      : undefined;
  if (range === "unsatisfiable") {
    throw new RequestError(
      416,
      "SIZE_INVALID",
      `the range ${JSON.stringify(request.headers.get("range"))} is beyond the blob's ${blob.size} bytes`,
      { "content-range": `bytes */${blob.size}` },
    );
  }
  const { start, end } = range ?? { start: 0, end: blob.size };
  // A file that is sent whole is subject to Bun's own reading of Range, with bare 416s.
  const isIgnored = !range && request.headers.has("range");
  return new Response(request.method === "HEAD" ? null : contentOf(blob, start, end, isIgnored), {
    status: range ? 206 : 200,
    headers: {
      ...headers,
      "content-type": "application/octet-stream",
      "content-length": String(end - start),
      // Bun would add one that names the file.
      "content-disposition": "attachment",
      ...(range && { "content-range": `bytes ${start}-${end - 1}/${blob.size}` }),
    },
  });
}

function contentOf(
  blob: Exclude<BlobContent, { kind: "redirect" }>,
  start: number,
  end: number,
  streamed: boolean,
): Blob | ReadableStream<Uint8Array> {
  if (blob.kind === "stream") return blob.open(start, end);
  const file = Bun.file(blob.path).slice(start, end);
  return streamed ? file.stream().pipeThrough(new TransformStream()) : file;
}

export async function deleteBlob(
  { store }: Exchange,
  repository: string,
  digestText: string,
): Promise<Response> {
  await store.unlinkBlob(repository, parseDigest(digestText));
  return new Response(null, { status: 202 });
}
