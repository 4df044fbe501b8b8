/**
 * Where things lie: the layout of registry:2 and registry:3, plus names beside it that those ignore.
 * Every path is built here, from names, tags, digests and ids that are checked here, so that no
 * request can name a path outside the root.
 */
import { join, resolve } from "node:path";
import { algorithmOf, type Digest, encodedOf, isDigest } from "../../oci/digest.ts";
import { isRepositoryName, isTag } from "../../oci/reference.ts";
import { StorageError } from "../errors.ts";

export class Layout {
  readonly root: string;
  readonly blobs: string;
  readonly repositories: string;
  /** Files and directories that aren't finished, on the same file system as all else. */
  readonly temporary: string;

  constructor(root: string) {
    this.root = resolve(root);
    this.blobs = join(this.root, "docker/registry/v2/blobs");
    this.repositories = join(this.root, "docker/registry/v2/repositories");
    this.temporary = join(this.root, ".ocireg/tmp");
  }

  /** A fresh name in `temporary`. */
  temporaryPath(): string {
    return `${this.temporary}/${crypto.randomUUID()}`;
  }

  blobData(digest: Digest): string {
    checkDigest(digest);
    const encoded = encodedOf(digest);
    return `${this.blobs}/${algorithmOf(digest)}/${encoded.slice(0, 2)}/${encoded}/data`;
  }

  repository(name: string): string {
    if (!isRepositoryName(name)) {
      throw new StorageError("NAME_INVALID", `invalid repository name ${quote(name)}`);
    }
    return `${this.repositories}/${name}`;
  }

  layerLink(repository: string, digest: Digest): string {
    return `${this.repository(repository)}/_layers/${digestPath(digest)}/link`;
  }

  /** Its presence makes a directory a repository. */
  manifests(repository: string): string {
    return `${this.repository(repository)}/_manifests`;
  }

  revisions(repository: string): string {
    return `${this.manifests(repository)}/revisions`;
  }

  /** Its presence makes a manifest exist. */
  revisionLink(repository: string, digest: Digest): string {
    return `${this.revisions(repository)}/${digestPath(digest)}/link`;
  }

  /** The Content-Type of a manifest that doesn't carry its media type. */
  revisionMediaType(repository: string, digest: Digest): string {
    return `${this.revisions(repository)}/${digestPath(digest)}/mediatype`;
  }

  tags(repository: string): string {
    return `${this.manifests(repository)}/tags`;
  }

  tag(repository: string, tag: string): string {
    if (!isTag(tag)) throw new StorageError("MANIFEST_INVALID", `invalid tag ${quote(tag)}`);
    return `${this.tags(repository)}/${tag}`;
  }

  tagLink(repository: string, tag: string): string {
    return `${this.tag(repository, tag)}/current/link`;
  }

  /** The reverse index: subject -> referrers. */
  referrers(repository: string): string {
    return `${this.repository(repository)}/_referrers`;
  }

  referrersOf(repository: string, subject: Digest): string {
    return `${this.referrers(repository)}/${digestPath(subject)}`;
  }

  referrerLink(repository: string, subject: Digest, referrer: Digest): string {
    return `${this.referrersOf(repository, subject)}/${digestPath(referrer)}/link`;
  }

  upload(repository: string, id: string): string {
    if (!/^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(id)) {
      throw new StorageError("BLOB_UPLOAD_UNKNOWN", `no upload session ${quote(id)}`);
    }
    return `${this.repository(repository)}/_uploads/${id}`;
  }
}

/** `sha256/<hex>`. */
export function digestPath(digest: Digest): string {
  checkDigest(digest);
  return `${algorithmOf(digest)}/${encodedOf(digest)}`;
}

function checkDigest(digest: Digest): void {
  if (!isDigest(digest))
    throw new StorageError("DIGEST_INVALID", `invalid digest ${quote(digest)}`);
}

function quote(value: string): string {
  return JSON.stringify(value.length > 200 ? `${value.slice(0, 197)}...` : value);
}
