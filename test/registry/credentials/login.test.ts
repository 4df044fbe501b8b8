import { describe, expect, test } from "bun:test";
import { chmodSync, mkdirSync, readdirSync, statSync, symlinkSync } from "node:fs";
import { dirname, join } from "node:path";
import { eraseLogin, storeLogin } from "../../../src/registry/credentials/login.ts";
import { temporaryDirectory } from "../../support/temp.ts";
import { failureOf, newCredentials } from "../fixtures.ts";
import { makeHelpers } from "./helpers.ts";

const login = { username: "me", password: "päss:word" };
const auth = Buffer.from("me:päss:word").toString("base64");

async function written(path: string): Promise<Record<string, unknown>> {
  return Bun.file(path).json();
}

describe("a login", () => {
  test("is kept in docker's file, for its owner alone", async () => {
    const home = temporaryDirectory();
    const path = join(home, ".docker/config.json");
    expect(await storeLogin("a.example", login, { env: { HOME: home } })).toEqual({ file: path });
    expect(await written(path)).toEqual({ auths: { "a.example": { auth } } });
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(statSync(dirname(path)).mode & 0o777).toBe(0o700);
    expect(readdirSync(dirname(path))).toEqual(["config.json"]);
    const { credential } = await newCredentials({ env: { HOME: home } }).find({
      registry: "a.example",
      scopes: [],
    });
    expect(credential).toEqual({ kind: "basic", ...login });
  });

  test("goes where DOCKER_CONFIG says, and before it REGISTRY_AUTH_FILE", async () => {
    const env: Record<string, string> = { HOME: "/nowhere", DOCKER_CONFIG: temporaryDirectory() };
    expect(await storeLogin("a.example", login, { env })).toEqual({
      file: join(env["DOCKER_CONFIG"] ?? "", "config.json"),
    });
    env["REGISTRY_AUTH_FILE"] = join(temporaryDirectory(), "deep/auth.json");
    expect(await storeLogin("a.example", login, { env })).toEqual({
      file: env["REGISTRY_AUTH_FILE"],
    });
    expect(await written(env["REGISTRY_AUTH_FILE"])).toEqual({ auths: { "a.example": { auth } } });
  });

  test("to Docker Hub has docker's name for it", async () => {
    const env = { REGISTRY_AUTH_FILE: join(temporaryDirectory(), "auth.json") };
    await storeLogin("docker.io", login, { env });
    expect(await written(env.REGISTRY_AUTH_FILE)).toEqual({
      auths: { "https://index.docker.io/v1/": { auth } },
    });
  });

  test("leaves all else in the file as it is, and makes it private", async () => {
    const file = join(temporaryDirectory(), "config.json");
    const before = {
      credHelpers: { "gcr.io": "gcloud" },
      auths: { "a.example": { identitytoken: "old" }, "b.example": { auth: "Yjpi", email: "b@c" } },
      HttpHeaders: { "X-Y": "z" },
      psFormat: "table",
    };
    await Bun.write(file, JSON.stringify(before));
    chmodSync(file, 0o644);
    await storeLogin("a.example", login, { env: { REGISTRY_AUTH_FILE: file } });
    const after = { ...before, auths: { ...before.auths, "a.example": { auth } } };
    expect(await written(file)).toEqual(after);
    expect(Object.keys(await written(file))).toEqual(Object.keys(before));
    expect(statSync(file).mode & 0o777).toBe(0o600);
  });

  test("follows a link to the file", async () => {
    const root = temporaryDirectory();
    mkdirSync(join(root, "dotfiles"));
    const real = join(root, "dotfiles/docker.json");
    await Bun.write(real, "{}");
    symlinkSync(real, join(root, "config.json"));
    await storeLogin("a.example", login, { env: { DOCKER_CONFIG: root } });
    expect(await written(real)).toEqual({ auths: { "a.example": { auth } } });
    expect(readdirSync(root).sort()).toEqual(["config.json", "dotfiles"]);
    expect(readdirSync(join(root, "dotfiles"))).toEqual(["docker.json"]);
  });

  test("is kept by the helper that the file names, and the file says only that", async () => {
    const helpers = makeHelpers({ credsStore: "mine" });
    helpers.writeKeychain("mine");
    const file = `${helpers.env["HOME"]}/config.json`;
    const kept = await storeLogin("a.example", login, { env: helpers.env });
    expect(kept).toEqual({ file, program: "docker-credential-mine" });
    expect(helpers.asked()).toEqual([
      `store ${JSON.stringify({ ServerURL: "a.example", Username: "me", Secret: "päss:word" })}`,
    ]);
    expect(await written(file)).toEqual({ credsStore: "mine", auths: { "a.example": {} } });
    const { credential } = await newCredentials({ env: helpers.env }).find({
      registry: "a.example",
      scopes: [],
    });
    expect(credential).toEqual({ kind: "basic", ...login });
  });

  test("fails where the helper does, and changes nothing", async () => {
    const helpers = makeHelpers({ credsStore: "mine" });
    helpers.write("mine", "echo locked >&2; exit 1");
    const failure = await failureOf(storeLogin("a.example", login, { env: helpers.env }));
    expect(failure.message).toContain('"docker-credential-mine" failed with code 1: locked');
    expect(failure.message).not.toContain("word");
    expect(await written(`${helpers.env["HOME"]}/config.json`)).toEqual({ credsStore: "mine" });
  });

  test("doesn't replace a file that can't be read", async () => {
    const file = join(temporaryDirectory(), "config.json");
    await Bun.write(file, "not JSON");
    const failure = await failureOf(
      storeLogin("a.example", login, { env: { REGISTRY_AUTH_FILE: file } }),
    );
    expect(failure.kind).toBe("usage");
    expect(await Bun.file(file).text()).toBe("not JSON");
  });
});

describe("a logout", () => {
  test("forgets the registry under all its names, and leaves the rest", async () => {
    const file = join(temporaryDirectory(), "config.json");
    const auths = {
      "https://a.example/v2/": { auth },
      "a.example": { auth },
      "a.example/team": { auth },
      "b.example": { auth },
    };
    await Bun.write(file, JSON.stringify({ auths, psFormat: "x" }));
    const env = { REGISTRY_AUTH_FILE: file };
    expect(await eraseLogin("a.example", { env })).toEqual({ file, removed: true });
    expect(await written(file)).toEqual({
      auths: { "a.example/team": { auth }, "b.example": { auth } },
      psFormat: "x",
    });
    expect(await eraseLogin("a.example", { env })).toEqual({ file, removed: false });
  });

  test("where nothing was kept writes no file", async () => {
    const home = temporaryDirectory();
    const { removed } = await eraseLogin("a.example", { env: { HOME: home } });
    expect(removed).toBeFalse();
    expect(readdirSync(home)).toEqual([]);
  });

  test("makes the helper forget", async () => {
    const helpers = makeHelpers({ credHelpers: { "a.example": "mine" } });
    helpers.writeKeychain("mine");
    await storeLogin("a.example", login, { env: helpers.env });
    const options = { env: helpers.env };
    expect(await eraseLogin("a.example", options)).toMatchObject({ removed: true });
    expect(helpers.asked().at(-1)).toBe("erase a.example");
    expect(await eraseLogin("a.example", options)).toMatchObject({ removed: false });
  });
});
