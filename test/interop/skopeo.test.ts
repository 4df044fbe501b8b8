import { afterAll, beforeAll, expect, test } from "bun:test";
import { digestOf } from "../../src/oci/digest.ts";
import { type Layout, makeLayout } from "../support/oci-layout.ts";
import { type Serving, startServing } from "../support/serving.ts";
import { temporaryDirectory } from "../support/temp.ts";
import { describeWith } from "../support/tools.ts";
import { type ClientProgram, clientProgram } from "./client.ts";

describeWith("skopeo", "skopeo", () => {
  let registry: Serving;
  let layout: Layout;
  let skopeo: ClientProgram;
  let repository: string;

  const copy = (from: string, to: string, ...flags: string[]) =>
    skopeo(
      ...["--insecure-policy", "copy", "--src-tls-verify=false", "--dest-tls-verify=false"],
      ...[...flags, from, to],
    );
  const tags = async (name: string): Promise<string[]> =>
    JSON.parse(await skopeo("list-tags", "--tls-verify=false", name)).Tags;
  const rawManifest = (name: string) => skopeo("inspect", "--tls-verify=false", "--raw", name);

  beforeAll(async () => {
    registry = await startServing();
    layout = await makeLayout(temporaryDirectory());
    skopeo = clientProgram("skopeo");
    repository = `docker://${registry.host}/team/app`;
    await copy(`oci:${layout.directory}:image`, `${repository}:v1`);
    await copy(`oci:${layout.directory}:index`, `${repository}:all`, "--all");
  });

  afterAll(() => registry?.stop());

  test("pushes an image that has the same bytes in the registry", async () => {
    expect(digestOf(new TextEncoder().encode(await rawManifest(`${repository}:v1`)))).toBe(
      layout.image.digest,
    );
  });

  test("pushes an index and pulls it with all its platforms", async () => {
    const back = temporaryDirectory();
    await copy(`${repository}:all`, `oci:${back}:all`, "--all");
    const { manifests } = await Bun.file(`${back}/index.json`).json();
    expect(manifests[0].digest).toBe(layout.index.digest);
  });

  test("reads an image's configuration", async () => {
    const image = JSON.parse(await skopeo("inspect", "--tls-verify=false", `${repository}:v1`));
    expect(image).toMatchObject({ Architecture: "amd64", Digest: layout.image.digest });
  });

  test("converts to Docker's manifest and pushes that", async () => {
    await copy(`oci:${layout.directory}:image`, `${repository}:docker`, "--format=v2s2");
    expect(JSON.parse(await rawManifest(`${repository}:docker`)).mediaType).toBe(
      "application/vnd.docker.distribution.manifest.v2+json",
    );
  });

  test("copies from one repository to another", async () => {
    const other = `docker://${registry.host}/team/copy:v1`;
    await copy(`${repository}:v1`, other);
    expect(await rawManifest(other)).toBe(await rawManifest(`${repository}:v1`));
  });

  test("deletes an image, with all of its tags", async () => {
    const doomed = `docker://${registry.host}/team/doomed`;
    await copy(`${repository}:v1`, `${doomed}:v1`);
    await copy(`${repository}:v1`, `${doomed}:v2`);
    await copy(`${repository}:all`, `${doomed}:all`, "--all");
    await skopeo("delete", "--tls-verify=false", `${doomed}:v1`);
    expect(await tags(doomed)).toEqual(["all"]);
  });
});
