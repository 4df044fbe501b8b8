/** A process that pulls: `bun pull-process.ts REFERENCE CACHE [OUTPUT]` prints the path. */
import { parseReference } from "../../src/oci/reference.ts";
import { Cache } from "../../src/pull/cache.ts";
import { pull } from "../../src/pull/pull.ts";
import { RegistryClient } from "../../src/registry/client.ts";

const [reference = "", root = "", output] = process.argv.slice(2);
const { path } = await pull({
  reference: parseReference(reference),
  client: new RegistryClient({ env: {} }),
  cache: new Cache(root),
  output,
});
process.stdout.write(path);
