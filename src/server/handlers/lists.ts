/** Lists: tags and referrers (distribution-spec, end-8 and end-12), and Docker's catalogue. */

import type { Descriptor } from "../../oci/descriptor.ts";
import { parseDigest } from "../../oci/digest.ts";
import { OCI_IMAGE_INDEX } from "../../oci/media-types.ts";
import { jsonResponse } from "../answer.ts";
import type { Exchange } from "../exchange.ts";
import { nextLink, pageOptions } from "../pagination.ts";

/** Repositories in one answer where the client names no number: as many as in registry:2. */
const catalogPage = 100;
/** Bytes of a referrers answer: clients read manifests up to 4 MB. */
const referrersPage = 3 * 1024 * 1024;

export async function listTags({ query, store }: Exchange, repository: string): Promise<Response> {
  const options = pageOptions(query);
  const { items, more } = await store.listTags(repository, options);
  const last = items.at(-1);
  const next = more && last !== undefined && { n: String(options.limit), last };
  return jsonResponse(
    { name: repository, tags: items },
    next ? nextLink(`/v2/${repository}/tags/list`, next) : {},
  );
}

export async function listRepositories({ query, store }: Exchange): Promise<Response> {
  const { limit = catalogPage, last: after } = pageOptions(query);
  const { items, more } = await store.listRepositories({ limit, last: after });
  const last = items.at(-1);
  const next = more && last !== undefined && { n: String(limit), last };
  return jsonResponse({ repositories: items }, next ? nextLink("/v2/_catalog", next) : {});
}

export async function listReferrers(
  { query, store }: Exchange,
  repository: string,
  digestText: string,
): Promise<Response> {
  const subject = parseDigest(digestText);
  const artifactType = query.get("artifactType");
  // A plus that the client didn't encode reads as a space, which media types hardly have.
  const types = [artifactType, artifactType?.replaceAll(" ", "+")];
  const isWanted = (descriptor: Descriptor) =>
    artifactType === null || types.includes(descriptor.artifactType);
  const all = store.listReferrers(repository, subject, query.get("last") ?? "");
  const { manifests, more } = await firstPage(all, isWanted);
  const headers: Record<string, string> = { "content-type": OCI_IMAGE_INDEX };
  if (artifactType !== null) headers["oci-filters-applied"] = "artifactType";
  const end = manifests.at(-1);
  if (more && end) {
    Object.assign(
      headers,
      nextLink(`/v2/${repository}/referrers/${subject}`, {
        ...(artifactType !== null && { artifactType }),
        last: end.digest,
      }),
    );
  }
  return jsonResponse({ schemaVersion: 2, mediaType: OCI_IMAGE_INDEX, manifests }, headers);
}

/** As many descriptors as fit into one manifest. */
async function firstPage(
  descriptors: AsyncIterable<Descriptor>,
  isWanted: (descriptor: Descriptor) => boolean,
): Promise<{ manifests: Descriptor[]; more: boolean }> {
  const manifests: Descriptor[] = [];
  let size = 0;
  for await (const descriptor of descriptors) {
    if (!isWanted(descriptor)) continue;
    size += Buffer.byteLength(JSON.stringify(descriptor));
    if (size > referrersPage && manifests.length > 0) return { manifests, more: true };
    manifests.push(descriptor);
  }
  return { manifests, more: false };
}
