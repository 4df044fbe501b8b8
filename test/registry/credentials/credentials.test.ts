import { describe, expect, test } from "bun:test";
import { mkdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { Failure } from "../../../src/lib/failure.ts";
import { authFilePaths } from "../../../src/registry/credentials/files.ts";
import { temporaryDirectory } from "../../support/temp.ts";
import { failureOf, newCredentials } from "../fixtures.ts";

const access = { registry: "a.example", repository: "team/model", scopes: [] };

async function writeAuth(path: string, content: unknown): Promise<string> {
  mkdirSync(dirname(path), { recursive: true });
  await Bun.write(path, JSON.stringify(content));
  return path;
}

function login(username: string) {
  return { auths: { "a.example": { auth: Buffer.from(`${username}:p`).toString("base64") } } };
}

async function userIn(env: Record<string, string>): Promise<string | undefined> {
  const { credential } = await newCredentials({ env }).find(access);
  return credential?.kind === "basic" ? credential.username : undefined;
}

describe("Credentials", () => {
  test("asks the sources in order, and goes on where one has nothing for the registry", async () => {
    const home = temporaryDirectory();
    const root = temporaryDirectory();
    const env: Record<string, string> = { HOME: home };
    expect(await userIn(env)).toBeUndefined();

    await writeAuth(join(home, ".config/containers/auth.json"), login("containers"));
    expect(await userIn(env)).toBe("containers");

    env["XDG_RUNTIME_DIR"] = join(root, "runtime");
    await writeAuth(join(root, "runtime/containers/auth.json"), login("runtime"));
    expect(await userIn(env)).toBe("runtime");

    await writeAuth(join(home, ".docker/config.json"), login("docker"));
    expect(await userIn(env)).toBe("docker");

    env["DOCKER_CONFIG"] = join(root, "docker");
    expect(await userIn(env)).toBe("runtime");
    await writeAuth(join(root, "docker/config.json"), login("docker-config"));
    expect(await userIn(env)).toBe("docker-config");

    env["REGISTRY_AUTH_FILE"] = await writeAuth(join(root, "auth.json"), login("named"));
    expect(await userIn(env)).toBe("named");

    env["DOCKER_AUTH_CONFIG"] = JSON.stringify(login("inline"));
    expect(await userIn(env)).toBe("inline");

    env["DOCKER_AUTH_CONFIG"] = JSON.stringify({ auths: { "b.example": { auth: "dTpw" } } });
    expect(await userIn(env)).toBe("named");
  });

  test("looks where podman and skopeo keep them without a runtime directory", () => {
    const home = { HOME: "/h" };
    expect(authFilePaths(home, 7)).toEqual([
      "/h/.docker/config.json",
      "/run/containers/7/auth.json",
      "/h/.config/containers/auth.json",
    ]);
    expect(authFilePaths({ ...home, XDG_RUNTIME_DIR: "/r" }, 7)).toEqual([
      "/h/.docker/config.json",
      "/r/containers/auth.json",
      "/h/.config/containers/auth.json",
    ]);
  });

  test("uses a given user name for its registry alone", async () => {
    const credentials = newCredentials({
      env: { DOCKER_AUTH_CONFIG: JSON.stringify(login("inline")) },
      username: "me",
      password: "p",
      credentialRegistry: "b.example",
    });
    const named = await credentials.find({ ...access, registry: "b.example" });
    expect(named.credential).toEqual({ kind: "basic", username: "me", password: "p" });
    expect(
      await credentials.explain({ ...access, registry: "b.example" }, "unauthorized"),
    ).toContain("the credentials from the command line or environment");
    const other = await credentials.find(access);
    expect(other.credential).toEqual({ kind: "basic", username: "inline", password: "p" });
    expect(
      (await credentials.find({ ...access, registry: "c.example" })).credential,
    ).toBeUndefined();
  });

  test("wants user name, password and registry together", () => {
    expect(() => newCredentials({ username: "me" })).toThrow(Failure);
    expect(() => newCredentials({ password: "p" })).toThrow(Failure);
    expect(() => newCredentials({ username: "me", password: "p" })).toThrow(Failure);
  });

  test("names the source that a registry refuses, without its secret", async () => {
    const env = { HOME: temporaryDirectory(), DOCKER_AUTH_CONFIG: JSON.stringify(login("me")) };
    const text = await newCredentials({ env }).explain(access, "unauthorized");
    expect(text).toContain("DOCKER_AUTH_CONFIG");
    expect(text).not.toContain(Buffer.from("me:p").toString("base64"));
  });

  test("says which file it can't read", async () => {
    const root = temporaryDirectory();
    await Bun.write(join(root, "config.json"), "{");
    const broken = newCredentials({ env: { HOME: root, DOCKER_CONFIG: root } });
    const failure = await failureOf(broken.find(access));
    expect(failure.kind).toBe("usage");
    expect(failure.message).toContain(join(root, "config.json"));

    const directory = temporaryDirectory();
    mkdirSync(join(directory, "config.json"));
    const unreadable = newCredentials({ env: { HOME: directory, DOCKER_CONFIG: directory } });
    expect((await failureOf(unreadable.find(access))).message).toContain("EISDIR");
  });
});
