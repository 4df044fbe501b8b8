import { afterAll, beforeAll, expect, test } from "bun:test";
import { type Serving, startServing } from "../support/serving.ts";
import { describeWith } from "../support/tools.ts";
import { type ClientProgram, clientProgram, containerStorage } from "./client.ts";

const plainHttp = "--tls-verify=false";

describeWith("podman", "podman", () => {
  let registry: Serving;
  let podman: ClientProgram;

  beforeAll(async () => {
    registry = await startServing();
    podman = clientProgram("podman", containerStorage());
    await Bun.write(`${podman.home}/hello`, "hello\n");
    await Bun.write(`${podman.home}/Containerfile`, 'FROM scratch\nCOPY hello /\nCMD ["/hello"]\n');
    await podman("build", "--tag", `${registry.host}/team/app:v1`, podman.home);
    await podman("push", plainHttp, `${registry.host}/team/app:v1`);
  });

  afterAll(() => registry?.stop());

  test("pulls what it pushed", async () => {
    await podman("image", "rm", "--all", "--force");
    await podman("pull", plainHttp, `${registry.host}/team/app:v1`);
    const [image] = JSON.parse(await podman("inspect", `${registry.host}/team/app:v1`));
    expect(image).toMatchObject({ Os: "linux", Config: { Cmd: ["/hello"] } });
  });

  test("finds repositories and tags", async () => {
    expect(await podman("search", plainHttp, "--format={{.Name}}", `${registry.host}/`)).toBe(
      `${registry.host}/team/app`,
    );
    expect(
      await podman(...["search", plainHttp, "--list-tags"], `${registry.host}/team/app`),
    ).toMatch(/team\/app +v1$/);
  });
});

describeWith("buildah", "buildah", () => {
  let registry: Serving;
  let buildah: ClientProgram;

  beforeAll(async () => {
    registry = await startServing();
    buildah = clientProgram("buildah", containerStorage());
    await Bun.write(`${buildah.home}/hello`, "hello\n");
    const container = await buildah("from", "scratch");
    await buildah("copy", container, "hello", "/hello");
    await buildah("commit", container, "built");
    await buildah("rm", container);
  });

  afterAll(() => registry?.stop());

  test("pushes an image that it built and pulls it again", async () => {
    await buildah("push", plainHttp, "built", `docker://${registry.host}/team/built:v1`);
    const id = await buildah("pull", plainHttp, `${registry.host}/team/built:v1`);
    expect(id).toBe(await buildah("inspect", "--format={{.FromImageID}}", "--type=image", "built"));
  });

  test("pushes a list of images", async () => {
    await buildah("manifest", "create", "list");
    await buildah("manifest", "add", "list", "built");
    const target = `docker://${registry.host}/team/built:list`;
    await buildah("manifest", "push", "--all", plainHttp, "list", target);
    const response = await fetch(`${registry.url}/v2/team/built/manifests/list`);
    expect(response.headers.get("content-type")).toBe("application/vnd.oci.image.index.v1+json");
    expect(await response.json()).toMatchObject({ manifests: [{ platform: { os: "linux" } }] });
  });
});
