/** Pushing blobs, whole or in chunks, and mounting: distribution-spec, end-4 to 6, 11, 13 and 14. */
import {
  algorithmNames,
  algorithmOf,
  type Digest,
  findAlgorithm,
  isDigest,
  parseDigest,
} from "../../oci/digest.ts";
import { isRepositoryName } from "../../oci/reference.ts";
import { UploadOffsetError } from "../../storage/errors.ts";
import type { UploadStatus } from "../../storage/store.ts";
import { bodyChunks, contentLength } from "../body.ts";
import { errorResponse, RequestError } from "../errors.ts";
import type { Exchange } from "../exchange.ts";
import { parseContentRange } from "../ranges.ts";

/** Starts a session, mounts a blob (end-11), or takes a whole one (end-4b). */
export async function startUpload(exchange: Exchange, repository: string): Promise<Response> {
  const { query, store } = exchange;
  const mount = query.get("mount");
  if (mount !== null && (await tryMount(exchange, repository, mount))) {
    return created(repository, mount);
  }
  const digest = query.get("digest");
  if (digest !== null) {
    const { id } = await store.createUpload(repository, algorithmOf(parseDigest(digest)));
    try {
      return await finishUpload(exchange, repository, id);
    } catch (error) {
      // Nobody knows the session's id, so nobody could go on with it.
      await store.cancelUpload(repository, id).catch(() => {});
      throw error;
    }
  }
  const hint = query.get("digest-algorithm") ?? undefined;
  if (hint !== undefined && !findAlgorithm(hint)) {
    throw new RequestError(
      400,
      "DIGEST_INVALID",
      `unsupported digest algorithm ${JSON.stringify(hint.slice(0, 100))}, want ${algorithmNames().join(" or ")}`,
    );
  }
  const algorithm = hint ?? (mount !== null && isDigest(mount) ? algorithmOf(mount) : undefined);
  return accepted(repository, await store.createUpload(repository, algorithm));
}

/** A mount that can't be done becomes a normal session, never an error. */
async function tryMount(
  { query, store }: Exchange,
  repository: string,
  digest: string,
): Promise<boolean> {
  const from = query.get("from") ?? undefined;
  if (!isDigest(digest) || (from !== undefined && !isRepositoryName(from))) return false;
  return store.linkBlob(repository, digest, from);
}

export async function uploadStatus(
  { store }: Exchange,
  repository: string,
  id: string,
): Promise<Response> {
  return answer(204, repository, await store.uploadStatus(repository, id));
}

/** Adds a chunk (end-5). Without Content-Range it is a stream, which docker and skopeo send. */
export async function appendChunk(
  exchange: Exchange,
  repository: string,
  id: string,
): Promise<Response> {
  return orOffset(repository, async () =>
    accepted(repository, await append(exchange, repository, id)),
  );
}

/** Closes a session, with or without a last chunk (end-6). */
export async function finishUpload(
  exchange: Exchange,
  repository: string,
  id: string,
): Promise<Response> {
  const { query, store } = exchange;
  const parameter = query.get("digest");
  if (parameter === null) {
    throw new RequestError(400, "DIGEST_INVALID", "the closing PUT has no digest parameter");
  }
  const digest = parseDigest(parameter);
  return orOffset(repository, async () => {
    await append(exchange, repository, id, digest);
    exchange.pause();
    await store.completeUpload(repository, id, digest);
    return created(repository, digest);
  });
}

export async function cancelUpload(
  { store }: Exchange,
  repository: string,
  id: string,
): Promise<Response> {
  await store.cancelUpload(repository, id);
  return new Response(null, { status: 204 });
}

async function append(
  exchange: Exchange,
  repository: string,
  id: string,
  digest?: Digest,
): Promise<UploadStatus> {
  const { request, store } = exchange;
  const length = contentLength(request);
  const header = request.headers.get("content-range");
  const range = header === null ? undefined : parseContentRange(header);
  if (header !== null && !range) {
    throw new RequestError(
      400,
      "BLOB_UPLOAD_INVALID",
      `invalid Content-Range ${JSON.stringify(header.slice(0, 100))}: want <first>-<last>`,
    );
  }
  const ranged = range && range.end - range.start;
  if (ranged !== undefined && length !== undefined && ranged !== length) {
    throw new RequestError(
      400,
      "SIZE_INVALID",
      `the Content-Range spans ${ranged} bytes, but the Content-Length is ${length}`,
    );
  }
  // What an earlier process received may have to be read and hashed first.
  exchange.pause();
  return store.appendUpload(repository, id, bodyChunks(exchange), {
    offset: range?.start,
    length: ranged ?? length,
    digest,
  });
}

/** A chunk out of order is answered with where the session is (416). */
async function orOffset(repository: string, task: () => Promise<Response>): Promise<Response> {
  try {
    return await task();
  } catch (error) {
    if (!(error instanceof UploadOffsetError)) throw error;
    const response = errorResponse(error, () => {});
    for (const [name, value] of Object.entries(sessionHeaders(repository, error))) {
      response.headers.set(name, value);
    }
    return response;
  }
}

function accepted(repository: string, status: UploadStatus): Response {
  return answer(202, repository, status);
}

function answer(code: number, repository: string, status: UploadStatus): Response {
  return new Response(null, { status: code, headers: sessionHeaders(repository, status) });
}

function sessionHeaders(repository: string, { id, offset }: UploadStatus): Record<string, string> {
  return {
    location: `/v2/${repository}/blobs/uploads/${id}`,
    // Inclusive; an empty session can't be told from one with a single byte.
    range: `0-${Math.max(0, offset - 1)}`,
    "docker-upload-uuid": id,
  };
}

function created(repository: string, digest: string): Response {
  return new Response(null, {
    status: 201,
    headers: {
      location: `/v2/${repository}/blobs/${digest}`,
      "docker-content-digest": digest,
    },
  });
}
