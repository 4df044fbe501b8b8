import { afterAll, beforeAll, expect, test } from "bun:test";
import { type Layout, makeLayout, SBOM_TYPE } from "../support/oci-layout.ts";
import { type Serving, startServing } from "../support/serving.ts";
import { temporaryDirectory } from "../support/temp.ts";
import { describeWith } from "../support/tools.ts";
import { type ClientProgram, clientProgram } from "./client.ts";

describeWith("regctl", "regctl", () => {
  let registry: Serving;
  let layout: Layout;
  let regctl: ClientProgram;
  let repository: string;

  const referrers = async (name: string, ...flags: string[]) =>
    JSON.parse(await regctl("artifact", "list", "--format={{json .Descriptors}}", ...flags, name));

  beforeAll(async () => {
    registry = await startServing();
    layout = await makeLayout(temporaryDirectory());
    regctl = clientProgram("regctl");
    repository = `${registry.host}/team/app`;
    await regctl("registry", "set", "--tls", "disabled", registry.host);
    for (const tag of ["image", "index", "sbom"]) {
      await regctl("image", "copy", `ocidir://${layout.directory}:${tag}`, `${repository}:${tag}`);
    }
  });

  afterAll(() => registry?.stop());

  test("pushes an image and an index unchanged", async () => {
    expect(await regctl("image", "digest", `${repository}:image`)).toBe(layout.image.digest);
    expect(await regctl("image", "digest", `${repository}:index`)).toBe(layout.index.digest);
  });

  test("finds the referrers of an image, all or of one type", async () => {
    await Bun.write(`${regctl.home}/note`, "hi\n");
    await regctl(
      ...["artifact", "put", "--subject", `${repository}:image`, "--file", "note"],
      ...["--artifact-type", "application/example.note", "--file-media-type", "text/plain"],
    );
    expect(await referrers(`${repository}:image`)).toHaveLength(2);
    expect(
      await referrers(`${repository}:image`, `--filter-artifact-type=${SBOM_TYPE}`),
    ).toMatchObject([
      { digest: layout.sbom.digest, annotations: { "org.example.origin": "test" } },
    ]);
    expect(
      await regctl(
        ...["artifact", "get", "--subject", `${repository}:image`],
        "--filter-artifact-type=application/example.note",
      ),
    ).toBe("hi");
  });

  test("copies an image with its referrers to another repository", async () => {
    const copy = `${registry.host}/team/copy`;
    await regctl("image", "copy", "--referrers", `${repository}:image`, `${copy}:v1`);
    expect(await referrers(`${copy}:v1`, `--filter-artifact-type=${SBOM_TYPE}`)).toMatchObject([
      { digest: layout.sbom.digest },
    ]);
  });

  test("lists repositories and tags", async () => {
    expect(await regctl("repo", "ls", registry.host)).toContain("team/app");
    expect(await regctl("tag", "ls", repository)).toBe("image\nindex\nsbom");
  });

  test("deletes a tag, a manifest and a blob", async () => {
    const doomed = `${registry.host}/team/doomed`;
    for (const tag of ["one", "two", "three"]) {
      await regctl("image", "copy", `${repository}:image`, `${doomed}:${tag}`);
    }
    await regctl("tag", "delete", `${doomed}:one`);
    expect(await regctl("tag", "ls", doomed)).toBe("three\ntwo");
    await regctl("manifest", "delete", `${doomed}@${layout.image.digest}`);
    expect(await regctl("tag", "ls", doomed)).toBe("");

    const { layers } = await Bun.file(
      `${layout.directory}/blobs/${layout.image.digest.replace(":", "/")}`,
    ).json();
    await regctl("blob", "delete", doomed, layers[0].digest);
    await expect(regctl("blob", "head", doomed, layers[0].digest)).rejects.toThrow("404");
  });
});
