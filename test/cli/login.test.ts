import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { startTestRegistry, type TestRegistry } from "../support/registry.ts";
import { temporaryDirectory } from "../support/temp.ts";
import { ocireg } from "./world.ts";

let guarded: TestRegistry;
let open: TestRegistry;

beforeAll(async () => {
  const htpasswd = join(temporaryDirectory(), "htpasswd");
  const hash = await Bun.password.hash("secret", { algorithm: "bcrypt", cost: 4 });
  await Bun.write(htpasswd, `me:${hash}\n`);
  guarded = await startTestRegistry({ htpasswd });
  open = await startTestRegistry();
});
afterAll(async () => {
  await guarded.stop();
  await open.stop();
});

/** A home, and what login does there. */
function makeHome() {
  const env = { HOME: temporaryDirectory() };
  const path = join(env.HOME, ".docker/config.json");
  const login = (password = "secret", host = guarded.host) =>
    ocireg(["login", host, "-u", "me", "--password-stdin"], { env, stdin: `${password}\n` });
  return { env, path, login };
}

describe("login", () => {
  test("keeps what the registry accepts, for the commands that follow", async () => {
    const { env, path, login } = makeHome();
    expect(await login()).toEqual({
      code: 0,
      stdout: "",
      stderr: `ocireg: logged in to ${guarded.host} as me; kept in ${JSON.stringify(path)}\n`,
    });
    expect((await ocireg(["repos", "ls", guarded.host], { env })).code).toBe(0);
  });

  test("keeps nothing that the registry refuses, and exits with 4", async () => {
    const { path, login } = makeHome();
    const { code, stderr } = await login("wrong-secret");
    expect(code).toBe(4);
    expect(stderr).toContain(`can't log in to ${guarded.host}`);
    expect(stderr).not.toContain("wrong-secret");
    expect(existsSync(path)).toBeFalse();
  });

  test("says so where the registry doesn't ask for a password", async () => {
    const { stderr } = await makeHome().login("secret", open.host);
    expect(stderr).toContain("didn't ask for the password, which may be wrong");
  });

  test("says so where another source comes first", async () => {
    const { env, login } = makeHome();
    const auths = { [guarded.host]: { auth: btoa("other:secret") } };
    Object.assign(env, { DOCKER_AUTH_CONFIG: JSON.stringify({ auths }) });
    const { code, stderr } = await login();
    expect(code).toBe(0);
    expect(stderr).toContain(`DOCKER_AUTH_CONFIG has credentials for ${guarded.host} too`);
  });

  test("wants to be told who and by what, where nobody can be asked", async () => {
    const { env } = makeHome();
    const nobody = await ocireg(["login", guarded.host], { env });
    expect(nobody).toMatchObject({ code: 2, stdout: "" });
    expect(nobody.stderr).toContain("--username");
    const noPassword = await ocireg(["login", guarded.host, "-u", "me"], { env });
    expect(noPassword.code).toBe(2);
    expect(noPassword.stderr).toContain("--password-stdin");
  });
});

describe("logout", () => {
  test("forgets what login kept, and says when there was nothing", async () => {
    const { env, path, login } = makeHome();
    await login();
    const logout = () => ocireg(["logout", guarded.host], { env });
    const where = `of ${guarded.host} in ${JSON.stringify(path)}\n`;
    expect(await logout()).toEqual({
      code: 0,
      stdout: "",
      stderr: `ocireg: forgot the credentials ${where}`,
    });
    expect((await ocireg(["repos", "ls", guarded.host], { env })).code).toBe(4);
    expect((await logout()).stderr).toBe(`ocireg: there were no credentials ${where}`);
  });

  test("says who still has some", async () => {
    const { env, login } = makeHome();
    await login();
    const auths = { [guarded.host]: { auth: btoa("other:secret") } };
    Object.assign(env, { DOCKER_AUTH_CONFIG: JSON.stringify({ auths }) });
    const { stderr } = await ocireg(["logout", guarded.host], { env });
    expect(stderr).toContain(`DOCKER_AUTH_CONFIG still has credentials for ${guarded.host}`);
  });
});

describe("auth check", () => {
  const check = (env: Record<string, string>, host: string, ...flags: string[]) =>
    ocireg(["auth", "check", `${host}/a/b:v1`, ...flags], { env });

  async function pushImage(env: Record<string, string>, host: string) {
    const file = join(temporaryDirectory(), "manifest.json");
    await Bun.write(file, JSON.stringify({ schemaVersion: 2, manifests: [], mediaType: INDEX }));
    const { code } = await ocireg(["manifest", "put", `${host}/a/b:v1`, file], { env });
    expect(code).toBe(0);
  }
  const INDEX = "application/vnd.oci.image.index.v1+json";

  test("shows where the credentials come from, and no secret", async () => {
    const { env, path, login } = makeHome();
    await login();
    await pushImage(env, guarded.host);
    const { code, stdout, stderr } = await check(env, guarded.host);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(stdout.split("\n")).toEqual([
      `Reference   ${guarded.host}/a/b:v1`,
      "Credential  user me and a password",
      `Source      ${JSON.stringify(path)}`,
      "Sought in   the command line or environment: no user was given",
      "            DOCKER_AUTH_CONFIG: it isn't set",
      `            ${JSON.stringify(path)}: has it`,
      "Answer      accepted",
      "",
    ]);
    const { stdout: json } = await check(env, guarded.host, "--json");
    expect(JSON.parse(json)).toEqual({
      reference: `${guarded.host}/a/b:v1`,
      answer: "accepted",
      credential: { kind: "basic", username: "me", source: JSON.stringify(path) },
      asked: [
        { source: "the command line or environment", reason: "no user was given" },
        { source: "DOCKER_AUTH_CONFIG", reason: "it isn't set" },
        { source: JSON.stringify(path) },
      ],
    });
    expect(stdout + json).not.toMatch(/secret|bWU6/);
  });

  test("exits with 4 when the registry refuses, with or without credentials", async () => {
    const { env } = makeHome();
    const none = await check(env, guarded.host);
    expect(none.code).toBe(4);
    expect(none.stdout).toContain("Credential  none");
    expect(none.stdout).toContain("Answer      refused");
    expect(none.stderr).toContain(`run 'ocireg login ${guarded.host}'`);
    const wrong = await check(
      { ...env, OCIREG_USERNAME: "me", OCIREG_PASSWORD: "wrong-secret" },
      guarded.host,
    );
    expect(wrong.code).toBe(4);
    expect(wrong.stdout).toContain("Source      the command line or environment");
    expect(wrong.stdout + wrong.stderr).not.toContain("wrong-secret");
  });

  test("tells a credential that isn't needed from one that was tried", async () => {
    const { env, login } = makeHome();
    await pushImage(env, open.host);
    expect((await check(env, open.host)).stdout).toContain("Answer      open to everybody\n");
    await login("secret", open.host);
    const { code, stdout } = await check(env, open.host);
    expect(code).toBe(0);
    expect(stdout).toContain("isn't needed, and wasn't tried");
  });

  test("exits with 3 where there is no such manifest, and says what was accepted", async () => {
    const { env, login } = makeHome();
    await login();
    const words = ["auth", "check", `${guarded.host}/a/b:nope`];
    const { code, stdout } = await ocireg(words, { env });
    expect(code).toBe(3);
    expect(stdout).toContain("Answer      accepted, but there is no such manifest");
  });
});
