/** Logins that other programs keep, and that they find. */
import { afterAll, beforeAll, describe, expect } from "bun:test";
import { join } from "node:path";
import { ocireg } from "../e2e/ocireg.ts";
import { type Layout, makeLayout } from "../support/oci-layout.ts";
import { type Serving, startServing } from "../support/serving.ts";
import { temporaryDirectory } from "../support/temp.ts";
import { testWith } from "../support/tools.ts";
import { type ClientProgram, clientProgram } from "./client.ts";

const [username, password] = ["alice", "correct horse"];
let registry: Serving;
let layout: Layout;

beforeAll(async () => {
  const users = join(temporaryDirectory(), "users");
  const hash = await Bun.password.hash(password, { algorithm: "bcrypt", cost: 4 });
  await Bun.write(users, `${username}:${hash}\n`);
  registry = await startServing(temporaryDirectory(), "--htpasswd", users);
  layout = await makeLayout(temporaryDirectory());
});
afterAll(() => registry?.stop());

/** Where a program's logins are. */
const homeOf = ({ home }: ClientProgram) => ({ HOME: home, XDG_RUNTIME_DIR: home });

async function login(env: Record<string, string>): Promise<void> {
  const words = ["login", registry.host, "-u", username, "--password-stdin"];
  const { code, stderr } = await ocireg(words, { env, stdin: password });
  expect({ code, stderr }).toMatchObject({ code: 0 });
}

async function isLoggedIn(env: Record<string, string>): Promise<boolean> {
  return (await ocireg(["repos", "ls", registry.host], { env })).code === 0;
}

describe("a login of ours", () => {
  testWith("crane", "lets crane in, and a logout doesn't any more", async () => {
    const crane = clientProgram("crane");
    await login(homeOf(crane));
    await crane("push", "--index", layout.directory, `${registry.host}/team/crane:v1`);
    const { code } = await ocireg(["logout", registry.host], { env: homeOf(crane) });
    expect(code).toBe(0);
    await expect(crane("ls", `${registry.host}/team/crane`)).rejects.toThrow(/UNAUTHORIZED/);
  });

  testWith("skopeo", "lets skopeo in", async () => {
    const file = join(temporaryDirectory(), "auth.json");
    const skopeo = clientProgram("skopeo", [], { REGISTRY_AUTH_FILE: file });
    await login({ ...homeOf(skopeo), REGISTRY_AUTH_FILE: file });
    await skopeo(
      ...["--insecure-policy", "copy", "--dest-tls-verify=false"],
      ...[`oci:${layout.directory}:image`, `docker://${registry.host}/team/skopeo:v1`],
    );
  });
});

describe("we find the login", () => {
  testWith("crane", "of crane", async () => {
    const crane = clientProgram("crane");
    await crane("auth", "login", registry.host, "-u", username, "-p", password);
    expect(await isLoggedIn(homeOf(crane))).toBeTrue();
  });

  testWith("skopeo", "of skopeo", async () => {
    const skopeo = clientProgram("skopeo");
    await skopeo("login", "--tls-verify=false", registry.host, "-u", username, "-p", password);
    expect(await isLoggedIn(homeOf(skopeo))).toBeTrue();
  });

  testWith("podman", "of podman", async () => {
    const podman = clientProgram("podman");
    await podman("login", "--tls-verify=false", registry.host, "-u", username, "-p", password);
    expect(await isLoggedIn(homeOf(podman))).toBeTrue();
  });
});
