/** Pushes a file and reads it back; prints the most memory that this took, in bytes. */
import { createHasher, finishDigest } from "../../src/oci/digest.ts";
import { RegistryClient } from "../../src/registry/client.ts";

const [registry = "", path = ""] = process.argv.slice(2);
const hasher = createHasher("sha256");
for await (const chunk of Bun.file(path).stream()) hasher.update(chunk);
const descriptor = { digest: finishDigest("sha256", hasher), size: Bun.file(path).size };

const client = new RegistryClient({ env: {} });
const repository = { registry, repository: "large" };
const pushed = await client.pushBlob(repository, descriptor, () => Bun.file(path));
if (pushed !== "uploaded") throw new Error(`expected an upload, but the blob was ${pushed}`);
let received = 0;
for await (const chunk of await client.openBlob(repository, descriptor)) {
  received += chunk.byteLength;
}
if (received !== descriptor.size) throw new Error(`received ${received} bytes`);
// Not `resourceUsage().maxRSS`: across a fork, that starts at what the parent has.
const status = await Bun.file("/proc/self/status").text();
process.stdout.write(String(Number(/^VmHWM:\s+(\d+) kB$/m.exec(status)?.[1]) * 1024));
