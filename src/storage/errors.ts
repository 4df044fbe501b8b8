import type { ErrorCode } from "../oci/errors.ts";

/** A request that the store refuses, in the spec's words. */
export class StorageError extends Error {
  override readonly name: string = "StorageError";
  constructor(
    readonly code: ErrorCode,
    message: string,
    readonly detail?: unknown,
  ) {
    super(message);
  }
}

/** A chunk that doesn't start where the upload session ends. */
export class UploadOffsetError extends StorageError {
  override readonly name = "UploadOffsetError";
  constructor(
    readonly id: string,
    /** Bytes that the session holds. */
    readonly offset: number,
    given: number,
  ) {
    super(
      "BLOB_UPLOAD_INVALID",
      `the chunk starts at byte ${given}, but the upload goes on at byte ${offset}`,
    );
  }
}

/** What lies on the disk isn't what was stored: nobody's request is at fault. */
export class CorruptContentError extends Error {
  override readonly name = "CorruptContentError";
}
