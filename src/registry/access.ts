/** Who we are to a registry, and whether that is enough. */
import { Failure } from "../lib/failure.ts";
import type { Reference } from "../oci/reference.ts";
import type { FoundCredential } from "./credentials/credentials.ts";
import { apiUrl, repositoryAt } from "./host.ts";
import { resolveManifest } from "./manifests.ts";
import type { Transport } from "./transport.ts";

export interface LoginReport {
  readonly found: FoundCredential;
  /** False where nobody asked for the credential: it may be a wrong one. */
  readonly isAccepted: boolean;
}

export interface AccessReport extends LoginReport {
  /** Why the manifest can't be had. */
  readonly failure?: Failure;
}

/**
 * Asks the registry whether it knows us: distribution-spec, "Determining Support".
 *
 * @throws {Failure} `unauthorized`: it doesn't; `not-found`: it is no registry; `network`
 */
export async function checkLogin(
  transport: Transport,
  registry: string,
  signal?: AbortSignal,
): Promise<LoginReport> {
  const host = transport.host(registry);
  const access = { registry: host.registry, scopes: [] };
  const answer = await transport.request(
    {
      what: `can't log in to ${registry}`,
      method: "GET",
      host,
      url: apiUrl(host, ""),
      access,
      bodyLimit: 64 * 1024,
      signal,
    },
    200,
  );
  await answer.body?.cancel();
  return report(transport, await transport.credentials.find(access));
}

/**
 * Asks the registry itself for the manifest. What the registry says is in the report.
 *
 * @throws {Failure} `usage`: a file of credentials can't be read
 */
export async function checkAccess(
  transport: Transport,
  reference: Reference,
  signal?: AbortSignal,
): Promise<AccessReport> {
  const { registry, repository } = reference;
  const place = repositoryAt(transport.host(registry), repository);
  const found = await transport.credentials.find({ ...place, scopes: [] });
  try {
    await resolveManifest(transport, reference, { at: "registry", signal });
    return report(transport, found);
  } catch (failure) {
    if (!(failure instanceof Failure)) throw failure;
    return { ...report(transport, found), failure };
  }
}

function report({ credentials }: Transport, found: FoundCredential): LoginReport {
  const { credential } = found;
  return { found, isAccepted: credential !== undefined && credentials.isAccepted(credential) };
}
