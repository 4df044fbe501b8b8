import { describe, expect, test } from "bun:test";
import { newCredentials } from "../fixtures.ts";
import { answering, makeHelpers } from "./helpers.ts";

const access = { registry: "a.example", repository: "team/model", scopes: [] };
const credHelpers = { "a.example": "mine" };

async function find(script: string, registry = "a.example") {
  const helpers = makeHelpers({ credHelpers: { [registry]: "mine" } });
  helpers.write("mine", script);
  const credentials = newCredentials({ env: helpers.env, helperTimeout: 500 });
  const found = await credentials.find({ ...access, registry });
  const advice = await credentials.explain({ ...access, registry }, "unauthorized");
  return { ...found, advice, helpers };
}

describe("a credential helper", () => {
  test("is asked by the registry's name, and says user name and password", async () => {
    const { credential, source, helpers } = await find(answering("u", "p"));
    expect(credential).toEqual({ kind: "basic", username: "u", password: "p" });
    expect(source).toContain('"docker-credential-mine"');
    expect(source).toContain(`${helpers.env["HOME"]}/config.json`);
    expect(helpers.asked()).toEqual(["get a.example"]);
  });

  test("knows Docker Hub by its address", async () => {
    const { helpers } = await find(answering("u", "p"), "docker.io");
    expect(helpers.asked()).toEqual(["get https://index.docker.io/v1/"]);
  });

  test("marks an identity token by its user name", async () => {
    const { credential } = await find(answering("<token>", "t"));
    expect(credential).toEqual({ kind: "identity", token: "t" });
  });

  test("is run once for all repositories and requests", async () => {
    const helpers = makeHelpers({ credHelpers });
    helpers.write("mine", answering("u", "p"));
    const credentials = newCredentials({ env: helpers.env });
    const repositories = ["a/b", "a/b", "c/d"];
    await Promise.all(
      repositories.map((repository) => credentials.find({ ...access, repository })),
    );
    await credentials.find(access);
    expect(helpers.asked()).toEqual(["get a.example"]);
  });

  test("is run again when what it said was accepted once and then refused", async () => {
    const helpers = makeHelpers({ credHelpers });
    helpers.write("mine", answering("u", "first"));
    const credentials = newCredentials({ env: helpers.env });
    const { credential: first } = await credentials.find(access);
    helpers.write("mine", answering("u", "second"));
    if (!first) throw new Error("no credential");
    expect((await credentials.find(access, first)).credential).toBe(first);
    credentials.accept(first);
    const [second, other] = await Promise.all([
      credentials.find(access, first),
      credentials.find(access, first),
    ]);
    expect(second.credential).toMatchObject({ password: "second" });
    expect(other.credential).toBe(second.credential);
    expect(helpers.asked().length).toBe(2);
  });

  test.each([
    ["on stdout", "echo 'credentials not found in native keychain'; exit 1"],
    ["on stderr", "echo 'credentials not found in native keychain' >&2; exit 1"],
    ["by empty fields", answering("", "")],
  ])("that has nothing says so %s", async (_, script) => {
    const { credential, asked, advice } = await find(script);
    expect(credential).toBeUndefined();
    expect(asked.some(({ failed }) => failed)).toBeFalse();
    expect(advice).not.toContain("docker-credential-mine");
  });

  test.each([
    [
      "fails",
      "echo hidden; echo 'the keychain is locked' >&2; exit 3",
      /code 3: the keychain is loc/,
    ],
    ["answers with no JSON", "echo hidden", /something else than a user name and a secret/],
    ["answers with other JSON", `echo '{"Username": "hidden"}'`, /something else/],
    ["answers without end", "yes hidden", /answered with too much/],
    ["hangs", "sleep 60", /didn't answer within 0.5 s/],
    [
      "leaves a program behind that hangs",
      `sleep 60 & ${answering("hidden", "x")}`,
      /didn't answer/,
    ],
  ])("that %s is named, and nothing of its stdout is shown", async (_, script, reason) => {
    const { credential, asked, advice = "" } = await find(script);
    expect(credential).toBeUndefined();
    expect(asked.find(({ failed }) => failed)?.reason).toMatch(reason);
    expect(advice).toMatch(/^there are no credentials for a\.example: the credential helper/);
    expect(advice).toMatch(reason);
    expect(advice).not.toContain("hidden");
  });

  test("that is missing is named, with what to do", async () => {
    const helpers = makeHelpers({ credsStore: "desktop" });
    const credentials = newCredentials({ env: helpers.env });
    const advice = await credentials.explain(access, "unauthorized");
    expect(advice).toContain('"docker-credential-desktop" isn\'t on PATH: install it');
    expect(advice).toContain("ocireg login a.example");
    // What is hidden from strangers looks as if it weren't there.
    expect(await credentials.explain(access, "not-found")).toContain("docker-credential-desktop");
  });

  test("that isn't a program is named", async () => {
    const helpers = makeHelpers({ credHelpers });
    await Bun.write(`${helpers.env["HOME"]}/bin/docker-credential-mine`, "#!/nowhere/sh\n");
    await Bun.$`chmod +x ${helpers.env["HOME"]}/bin/docker-credential-mine`;
    const { asked } = await newCredentials({ env: helpers.env }).find(access);
    expect(asked.find(({ failed }) => failed)?.reason).toContain("can't be run");
  });

  test.each(["../evil", "a/b", "", "a b", "-x"])("isn't sought by the name %p", async (name) => {
    const helpers = makeHelpers({ credHelpers: { "a.example": name } });
    helpers.write("evil", answering("u", "p"));
    const { credential } = await newCredentials({ env: helpers.env }).find(access);
    expect(credential).toBeUndefined();
    expect(helpers.asked()).toEqual([]);
  });

  test("doesn't hide a password of the same file, or of a later one, when it has nothing", async () => {
    const auths = { "a.example": { auth: Buffer.from("file:p").toString("base64") } };
    const helpers = makeHelpers({ credHelpers, auths });
    helpers.writeKeychain("mine");
    const { credential } = await newCredentials({ env: helpers.env }).find(access);
    expect(credential).toMatchObject({ username: "file" });
    expect(helpers.asked()).toEqual(["get a.example"]);
  });

  test("that is missing doesn't hide a password of a later file", async () => {
    const helpers = makeHelpers({ credsStore: "desktop" });
    const auths = { "a.example": { auth: Buffer.from("podman:p").toString("base64") } };
    await Bun.write(`${helpers.env["HOME"]}/containers/auth.json`, JSON.stringify({ auths }));
    const env = { ...helpers.env, XDG_RUNTIME_DIR: helpers.env["HOME"] };
    const { credential } = await newCredentials({ env }).find(access);
    expect(credential).toMatchObject({ username: "podman" });
  });

  test("comes before a password of its own file, and before later files", async () => {
    const auths = { "a.example": { auth: Buffer.from("file:p").toString("base64") } };
    const helpers = makeHelpers({ credsStore: "mine", auths });
    helpers.write("mine", answering("helper", "p"));
    const { credential } = await newCredentials({ env: helpers.env }).find(access);
    expect(credential).toMatchObject({ username: "helper" });
  });
});
