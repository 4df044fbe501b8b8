import { afterAll, beforeAll, expect, test } from "bun:test";
import { digestOf } from "../../src/oci/digest.ts";
import { type Layout, makeLayout } from "../support/oci-layout.ts";
import { type Serving, startServing } from "../support/serving.ts";
import { temporaryDirectory } from "../support/temp.ts";
import { describeWith } from "../support/tools.ts";
import { type ClientProgram, clientProgram } from "./client.ts";

describeWith("crane", "crane", () => {
  let registry: Serving;
  let layout: Layout;
  let crane: ClientProgram;
  /** Everything in the layout, as one index. */
  let everything: string;
  let image: string;

  beforeAll(async () => {
    registry = await startServing();
    layout = await makeLayout(temporaryDirectory());
    crane = clientProgram("crane");
    everything = `${registry.host}/team/app:all`;
    image = `${registry.host}/team/app@${layout.image.digest}`;
    await crane("push", "--index", layout.directory, everything);
  });

  afterAll(() => registry?.stop());

  test("pushes indexes in an index", async () => {
    const { manifests } = JSON.parse(await crane("manifest", everything));
    expect(manifests).toHaveLength(3);
    const inner = `${registry.host}/team/app@${layout.index.digest}`;
    expect(JSON.parse(await crane("manifest", inner)).manifests).toHaveLength(2);
  });

  test("pulls every byte of them", async () => {
    const back = temporaryDirectory();
    await crane("pull", "--format=oci", everything, back);
    const before = [...new Bun.Glob("blobs/**").scanSync(layout.directory)];
    for (const path of before) {
      expect(digestOf(await Bun.file(`${back}/${path}`).bytes())).toBe(
        digestOf(await Bun.file(`${layout.directory}/${path}`).bytes()),
      );
    }
  });

  test("pushes an image from a tarball and finds it valid", async () => {
    await crane("pull", image, "image.tar");
    await crane("push", "image.tar", `${registry.host}/team/tarball:v1`);
    expect(await crane("validate", "--remote", `${registry.host}/team/tarball:v1`)).toStartWith(
      "PASS",
    );
  });

  test("copies an image to another repository, mounting its layers", async () => {
    await crane("copy", image, `${registry.host}/team/copy:v1`);
    expect(await crane("digest", `${registry.host}/team/copy:v1`)).toBe(layout.image.digest);
    expect((await crane("catalog", registry.host)).split("\n")).toContain("team/copy");
  });

  test("tags, lists tags and deletes", async () => {
    const repository = `${registry.host}/team/tagged`;
    await crane("copy", image, `${repository}:one`);
    await crane("tag", `${repository}:one`, "two");
    expect(await crane("ls", repository)).toBe("one\ntwo");
    await crane("delete", `${repository}:one`);
    expect(await crane("ls", repository)).toBe("two");
    await crane("delete", `${repository}@${layout.image.digest}`);
    expect(await crane("ls", repository)).toBe("");
  });

  test("reads the files of an image", async () => {
    await crane("export", image, "files.tar");
    expect(await Bun.file(`${crane.home}/files.tar`).text()).toContain("hello amd64\n");
  });
});
