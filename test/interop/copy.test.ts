/** `ocireg copy` between our registry and distribution, judged by other people's programs. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { RegistryClient } from "../../src/registry/client.ts";
import { compiledBinary } from "../support/binary.ts";
import { startCuttingProxy } from "../support/cutting-proxy.ts";
import { type Distribution, startDistribution } from "../support/distribution.ts";
import { type Layout, makeLayout, SBOM_TYPE } from "../support/oci-layout.ts";
import { runChecked } from "../support/programs.ts";
import { type Serving, startServing } from "../support/serving.ts";
import { temporaryDirectory } from "../support/temp.ts";
import { describeWith } from "../support/tools.ts";
import { type ClientProgram, clientProgram } from "./client.ts";
import { pushLayout } from "./push-layout.ts";

describeWith(["registry", "crane", "skopeo"], "a copy", () => {
  let ours: Serving;
  let theirs: Distribution;
  let layout: Layout;
  let crane: ClientProgram;

  const copy = async (...words: string[]) =>
    runChecked([await compiledBinary(), "copy", "--progress=none", ...words]);
  const client = () => new RegistryClient({ env: {} });
  const referrersAt = async (registry: string, repository: string) =>
    (await client().listReferrers({ registry, repository }, layout.image.digest, SBOM_TYPE)).map(
      ({ digest }) => digest,
    );

  beforeAll(async () => {
    ours = await startServing();
    theirs = await startDistribution(temporaryDirectory());
    layout = await makeLayout(temporaryDirectory());
    crane = clientProgram("crane");
    const skopeo = clientProgram("skopeo", [
      "--insecure-policy",
      "copy",
      "--dest-tls-verify=false",
    ]);
    for (const { host } of [ours, theirs]) {
      await skopeo("--all", `oci:${layout.directory}:index`, `docker://${host}/made/index:v1`);
      await pushLayout(client(), layout, { registry: host, repository: "made/signed" });
    }
  }, 60_000);

  afterAll(async () => {
    await ours?.stop();
    await theirs?.stop();
  });

  const directions = [
    ["from ours to distribution", () => [ours.host, theirs.host] as const],
    ["from distribution to ours", () => [theirs.host, ours.host] as const],
  ] as const;

  test.each(directions)("%s has an index with every byte of it", async (_, hosts) => {
    const [from, to] = hosts();
    const target = `${to}/copied/index:v1`;
    const printed = await copy(`${from}/made/index:v1`, target);
    expect(printed).toBe(`${to}/copied/index@${layout.index.digest}`);
    expect(await crane("digest", target)).toBe(layout.index.digest);
    expect(await crane("manifest", target)).toBe(await crane("manifest", `${from}/made/index:v1`));
    // It reads every layer of every image, and computes all digests anew.
    await crane("validate", "--remote", target);
    for (const platform of ["linux/amd64", "linux/arm64"]) {
      await crane("validate", "--remote", target, "--platform", platform);
    }
  });

  test.each(directions)("%s of one platform is what crane copies", async (_, hosts) => {
    const [from, to] = hosts();
    await copy("--platform=linux/arm64", `${from}/made/index:v1`, `${to}/copied/arm:ours`);
    const platform = ["--platform", "linux/arm64"];
    await crane("copy", ...platform, `${from}/made/index:v1`, `${to}/copied/arm:theirs`);
    expect(await crane("digest", `${to}/copied/arm:ours`)).toBe(
      await crane("digest", `${to}/copied/arm:theirs`),
    );
  });

  test.each(directions)("%s has its referrers, whoever keeps their list", async (_, hosts) => {
    const [from, to] = hosts();
    await copy("--referrers", `${from}/made/signed:image`, `${to}/copied/signed:image`);
    expect(await referrersAt(to, "copied/signed")).toEqual([layout.sbom.digest]);
    const sbom = `${to}/copied/signed@${layout.sbom.digest}`;
    expect(await crane("digest", sbom)).toBe(layout.sbom.digest);
  });

  test.each(directions)("%s of what is there asks twice and moves nothing", async (_, hosts) => {
    const [from, to] = hosts();
    await copy(`${from}/made/signed:image`, `${to}/copied/again:v1`);
    const source = await startCuttingProxy(from, { direction: "down", cutAt: [] });
    const target = await startCuttingProxy(to, { direction: "up", cutAt: [] });
    await copy(`${source.host}/made/signed:image`, `${target.host}/copied/again:v1`);
    // The heads of one answer and of one request.
    expect(source.bytes).toBeGreaterThan(0);
    expect(source.bytes).toBeLessThan(1000);
    expect(target.bytes).toBeLessThan(1000);
  });

  test("within distribution mounts the blobs", async () => {
    await copy(`${theirs.host}/made/index:v1`, `${theirs.host}/mounted/index:v1`);
    await crane("validate", "--remote", `${theirs.host}/mounted/index:v1`);
    const uploads = theirs.output().match(/"PUT \/v2\/mounted\/index\/blobs\/uploads/g) ?? [];
    expect(uploads).toEqual([]);
  });
});
