/** Models that an artifact has from another artifact, to which it refers. */
import { Failure } from "../lib/failure.ts";
import { isModelLayer } from "../model/kitops.ts";
import type { Plan } from "../model/plan.ts";
import { settlePaths } from "../model/planned-file.ts";
import {
  formatReference,
  InvalidReferenceError,
  parseReference,
  type Reference,
  type Repository,
} from "../oci/reference.ts";
import { isMachineLocal } from "../registry/host.ts";

/** Artifacts that refer to one another, as many as KitOps follows. */
const MAX_PARENTS = 10;
/** Characters: no reference has as many. */
const MAX_REFERENCE = 2048;

/**
 * The plan with the model of the artifact that it refers to; and of the one that this refers to.
 *
 * @param own what the plan is of
 * @param open plans another artifact
 * @throws {Failure} `content` when references can't be followed, go round in a circle or further than
 *   10, or lead to another format; what `open` throws
 */
export async function withParents(
  plan: Plan,
  own: Repository,
  open: (reference: Reference) => Promise<Plan>,
): Promise<Plan> {
  const files = [...plan.files];
  const seen = new Set<string>();
  for (let { parent } = plan; parent !== undefined; ) {
    const reference = parentReference(parent, own);
    const name = formatReference(reference);
    if (seen.has(name)) throw new Failure("content", `${name} refers to itself for its model`);
    if (seen.size === MAX_PARENTS) {
      throw new Failure(
        "content",
        `the artifact refers to more than ${MAX_PARENTS} others, one for the model of the next: the last is ${name}`,
      );
    }
    seen.add(name);
    const next = await open(reference);
    if (next.format !== plan.format) {
      throw new Failure(
        "content",
        `the artifact has its model from ${name}, which is of the format ${next.format}, not ${plan.format}`,
      );
    }
    for (const file of next.files) {
      if (isModelLayer(file.descriptor)) files.push({ ...file, from: reference });
    }
    parent = next.parent;
  }
  return { ...plan, files: settlePaths(files) };
}

/** A reference that a stranger wrote: it must not lead to what only this machine can reach. */
function parentReference(text: string, own: Repository): Reference {
  const fail = (reason: string) =>
    new Failure(
      "content",
      `the artifact has its model from another, ${JSON.stringify(text.slice(0, 400))}, which can't be followed: ${reason}`,
    );
  // The patterns take time that grows with the square of the length.
  if (text.length > MAX_REFERENCE) throw fail(`it has ${text.length} characters`);
  // KitOps takes such a name for one in the storage of its own machine; Docker Hub isn't meant.
  if (!/^(?:localhost|[^/]*[.:][^/]*)\//.test(text)) throw fail("it names no registry");
  try {
    const reference = parseReference(text);
    if (isMachineLocal(hostnameOf(reference)) && !isMachineLocal(hostnameOf(own))) {
      throw fail(`from ${own.registry} nothing leads into this machine`);
    }
    return reference;
  } catch (error) {
    if (!(error instanceof InvalidReferenceError)) throw error;
    throw fail(error.message);
  }
}

function hostnameOf({ registry }: Repository): string {
  return new URL(`http://${registry}`).hostname;
}
