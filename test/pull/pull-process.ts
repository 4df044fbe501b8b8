/** A process that pulls: `bun pull-process.ts REFERENCE CACHE` prints the path. */
import { parseReference } from "../../src/oci/reference.ts";
import { Cache } from "../../src/pull/cache.ts";
import { pull } from "../../src/pull/pull.ts";
import { RegistryClient } from "../../src/registry/client.ts";

const [reference = "", root = ""] = process.argv.slice(2);
const { path } = await pull({
  reference: parseReference(reference),
  client: new RegistryClient({ env: {} }),
  cache: new Cache(root),
});
process.stdout.write(path);
