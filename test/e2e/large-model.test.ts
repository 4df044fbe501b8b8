import { expect } from "bun:test";
import { readFileSync, statSync, truncateSync } from "node:fs";
import { join } from "node:path";
import { compiledBinary } from "../support/binary.ts";
import { makeModel } from "../support/model.ts";
import { runChecked } from "../support/programs.ts";
import { startServing } from "../support/serving.ts";
import { temporaryDirectory } from "../support/temp.ts";
import { testLong } from "../support/tools.ts";

/** More than 32 bits can count. */
const size = 5 * 2 ** 30;

testLong("a shard of 5 GiB comes back whole, and serve stays within 200 MB of memory", async () => {
  const [source, target] = [temporaryDirectory(), join(temporaryDirectory(), "out")];
  await makeModel(source, { shards: 1, bytesPerShard: 0 });
  const shard = join(source, "model.safetensors");
  const header = JSON.stringify({ w: { dtype: "U8", shape: [size], data_offsets: [0, size] } });
  const length = new Uint8Array(8);
  new DataView(length.buffer).setBigUint64(0, BigInt(header.length), true);
  await Bun.write(shard, new Blob([length, header]));
  truncateSync(shard, 8 + header.length + size);

  const registry = await startServing();
  const reference = `${registry.host}/models/large:v1`;
  const ocireg = await compiledBinary();
  await runChecked([ocireg, "push", source, reference]);
  await runChecked([ocireg, "pull", reference, "--output", target]);
  expect(statSync(join(target, "model.safetensors")).size).toBe(8 + header.length + size);
  if (process.platform === "linux") {
    const status = readFileSync(`/proc/${registry.pid}/status`, "utf8");
    expect(Number(/VmHWM:\s+(\d+) kB/.exec(status)?.[1]) * 1024).toBeLessThan(200e6);
  }
  await registry.stop();
});
