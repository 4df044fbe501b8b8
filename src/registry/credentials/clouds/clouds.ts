/**
 * The short-lived identities that clouds give to their machines and pods, for the registries of the
 * same cloud: there are no helper programs in a container.
 */
import { azureIdentities } from "./azure.ts";
import { ecrIdentities } from "./ecr.ts";
import { googleIdentities } from "./google.ts";
import type { CloudContext, CloudIdentity } from "./identity.ts";

/** All by which we may be known to `registry`, in order; none when it is no cloud's. */
export function cloudIdentities(registry: string, context: CloudContext): CloudIdentity[] {
  return [ecrIdentities, googleIdentities, azureIdentities].flatMap((identities) =>
    identities(registry, context),
  );
}
