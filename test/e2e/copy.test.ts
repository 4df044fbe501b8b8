import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { digestOf } from "../../src/oci/digest.ts";
import { OCI_IMAGE_CONFIG, OCI_IMAGE_MANIFEST, OCI_LAYER } from "../../src/oci/media-types.ts";
import { describe as describeBytes } from "../../src/oci/partial.ts";
import { RegistryClient } from "../../src/registry/client.ts";
import { compiledBinary } from "../support/binary.ts";
import { temporaryDirectory } from "../support/temp.ts";
import { testLong } from "../support/tools.ts";
import { cleanEnvironment, ocireg, type Served, startServe } from "./ocireg.ts";

const MIB = 1024 * 1024;
const client = new RegistryClient({ env: {} });

let open: Served;
let closed: Served;
beforeAll(async () => {
  const users = join(temporaryDirectory(), "users");
  const hash = await Bun.password.hash("secret", { algorithm: "bcrypt", cost: 4 });
  writeFileSync(users, `me:${hash}\n`);
  open = await startServe(["--log-level", "error", "--sparse", "image"]);
  closed = await startServe(["--log-level", "error", "--htpasswd", users]);
}, 60_000);
afterAll(async () => {
  await open.stop();
  await closed.stop();
});

const me = { OCIREG_USERNAME: "me", OCIREG_PASSWORD: "secret" };

/** Pushes an image with one layer of random bytes to the open registry. */
async function putImage(repository: string, size: number) {
  const at = { registry: open.host, repository };
  const layer = new Uint8Array(size);
  for (let start = 0; start < size; start += 65_536) {
    crypto.getRandomValues(layer.subarray(start, start + 65_536));
  }
  const config = new TextEncoder().encode("{}");
  await client.pushBlob(at, describeBytes(OCI_LAYER, layer), () => layer);
  await client.pushBlob(at, describeBytes(OCI_IMAGE_CONFIG, config), () => config);
  const manifest = new TextEncoder().encode(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: OCI_IMAGE_MANIFEST,
      config: describeBytes(OCI_IMAGE_CONFIG, config),
      layers: [describeBytes(OCI_LAYER, layer)],
    }),
  );
  return client.putManifest({ ...at, tag: "v1" }, manifest, OCI_IMAGE_MANIFEST);
}

function sessionsAt({ root }: Served, repository: string): string[] {
  const path = join(root, "docker/registry/v2/repositories", repository, "_uploads");
  return existsSync(path) ? readdirSync(path) : [];
}

describe("ocireg copy", () => {
  test("prints the copy's reference by digest, alone on a line", async () => {
    const digest = await putImage("app", 3 * MIB);
    const words = ["copy", `${open.host}/app:v1`, `${open.host}/mirror/app:v2`];
    const { code, stdout, stderr } = await ocireg(words);
    expect({ code, stdout }).toEqual({
      code: 0,
      stdout: `${open.host}/mirror/app@${digest}\n`,
    });
    expect(stderr).toContain("done");
  });

  test("gives the user and password to the target alone", async () => {
    const digest = await putImage("public", MIB);
    const words = ["copy", `${open.host}/public:v1`, `${closed.host}/private:v1`];
    expect((await ocireg(words)).code).toBe(4);
    const { code, stdout } = await ocireg(words, { env: me });
    expect({ code, stdout }).toEqual({ code: 0, stdout: `${closed.host}/private@${digest}\n` });
    // The source's come from files.
    const back = ["copy", `${closed.host}/private:v1`, `${open.host}/public:v2`];
    expect((await ocireg(back, { env: me })).code).toBe(4);
    const auth = Buffer.from("me:secret").toString("base64");
    const files = { DOCKER_AUTH_CONFIG: JSON.stringify({ auths: { [closed.host]: { auth } } }) };
    expect((await ocireg(back, { env: files })).code).toBe(0);
  });

  test("refuses a platform that isn't one, and takes all", async () => {
    await putImage("platform", 1000);
    const words = ["copy", `${open.host}/platform:v1`, `${open.host}/platform:v2`];
    expect((await ocireg([...words, "--platform", "nonsense"])).code).toBe(2);
    expect((await ocireg([...words, "--platform", "all"])).code).toBe(0);
  });

  test("that is interrupted exits with 130 and leaves no session behind", async () => {
    await putImage("interrupted", 96 * MIB);
    const child = Bun.spawn(
      [
        ...[await compiledBinary(), "copy", "--progress", "json"],
        ...[`${open.host}/interrupted:v1`, `${closed.host}/interrupted:v1`],
      ],
      {
        env: { ...process.env, ...cleanEnvironment(), ...me },
        stdin: "ignore",
        stdout: "pipe",
        stderr: "pipe",
      },
    );
    while (sessionsAt(closed, "interrupted").length === 0) await Bun.sleep(1);
    child.kill("SIGINT");
    expect(await child.exited).toBe(130);
    expect(await child.stdout.text()).toBe("");
    expect(sessionsAt(closed, "interrupted")).toEqual([]);
  }, 60_000);

  /** Copies, and returns the most memory that it took, in bytes. */
  async function peakOf(source: string, target: string): Promise<number> {
    const words = [
      "copy",
      "--progress",
      "none",
      `${open.host}/${source}`,
      `${closed.host}/${target}`,
    ];
    const child = Bun.spawn([await compiledBinary(), ...words], {
      env: { ...process.env, ...cleanEnvironment(), ...me },
      stdio: ["ignore", "ignore", "inherit"],
    });
    let peak = 0;
    // What the kernel counts for a process that ended includes the one that it was forked from.
    const status = () => Bun.spawnSync(["cat", `/proc/${child.pid}/status`]).stdout.toString();
    while (child.exitCode === null) {
      const kilobytes = /VmHWM:\s+(\d+) kB/.exec(status())?.[1];
      peak = Math.max(peak, Number(kilobytes ?? 0) * 1024);
      await Bun.sleep(5);
    }
    expect(await child.exited).toBe(0);
    expect(peak).toBeGreaterThan(0);
    return peak;
  }

  test("of half a gigabyte takes less than 150 MB of memory", async () => {
    await putImage("large", 512 * MIB);
    expect(await peakOf("large:v1", "large:v1")).toBeLessThan(150 * MIB);
  }, 120_000);

  testLong("of ten thousand layers takes less than 150 MB of memory", async () => {
    const at = { registry: open.host, repository: "layers" };
    const layers = Array.from({ length: 10_000 }, (_, index) => {
      const bytes = new TextEncoder().encode(`layer ${index}`);
      return {
        bytes,
        descriptor: { mediaType: OCI_LAYER, digest: digestOf(bytes), size: bytes.length },
      };
    });
    for (const { bytes, descriptor } of layers) {
      await client.pushBlob(at, descriptor, () => bytes);
    }
    const manifest = {
      schemaVersion: 2,
      mediaType: OCI_IMAGE_MANIFEST,
      config: layers[0]?.descriptor,
      layers: layers.map(({ descriptor }) => descriptor),
    };
    const bytes = new TextEncoder().encode(JSON.stringify(manifest));
    await client.putManifest({ ...at, tag: "v1" }, bytes, OCI_IMAGE_MANIFEST);
    expect(await peakOf("layers:v1", "layers:v1")).toBeLessThan(150 * MIB);
  });
});
