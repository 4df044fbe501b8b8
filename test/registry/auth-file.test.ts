import { describe, expect, test } from "bun:test";
import { Failure } from "../../src/lib/failure.ts";
import { findAuthEntry, parseAuthFile } from "../../src/registry/auth-file.ts";

const auth = (text: string) => Buffer.from(text).toString("base64");

function find(content: unknown, registry: string, repository?: string) {
  return findAuthEntry(parseAuthFile(JSON.stringify(content), '"file"'), registry, repository);
}

function basic(username: string, password: string) {
  return { credential: { kind: "basic", username, password } };
}

describe("findAuthEntry", () => {
  test.each([
    "a.example",
    "https://a.example",
    "https://a.example/",
    "https://a.example/v2/",
    "A.example",
  ])("finds a.example under the key %s", (key) => {
    const file = { auths: { [key]: { auth: auth("u:p") } } };
    expect(find(file, "a.example")).toEqual(basic("u", "p") as never);
    expect(find(file, "b.example")).toEqual({});
  });

  test.each([
    "https://index.docker.io/v1/",
    "docker.io",
    "index.docker.io",
    "registry-1.docker.io",
  ])("finds Docker Hub under the key %s", (key) => {
    const file = { auths: { [key]: { auth: auth("u:p") } } };
    expect(find(file, "docker.io", "library/x")).toEqual(basic("u", "p") as never);
  });

  test("takes the most specific namespace", () => {
    const file = {
      auths: {
        "a.example": { auth: auth("host:p") },
        "a.example/team": { auth: auth("team:p") },
        "a.example/team/model": { auth: auth("model:p") },
      },
    };
    const user = (repository?: string) => {
      const { credential } = find(file, "a.example", repository);
      return credential?.kind === "basic" ? credential.username : undefined;
    };
    expect(user("team/model")).toBe("model");
    expect(user("team/model/deep")).toBe("model");
    expect(user("team/other")).toBe("team");
    expect(user("teams/model")).toBe("host");
    expect(user()).toBe("host");
  });

  test("splits at the first colon and drops the padding that docker leaves", () => {
    const file = { auths: { "a.example": { auth: auth("u:p:q\0\0") } } };
    expect(find(file, "a.example")).toEqual(basic("u", "p:q") as never);
  });

  test("reads user name and password, identity and registry tokens", () => {
    const entry = (content: unknown) => find({ auths: { a: content } }, "a");
    expect(entry({ username: "u", password: "p" })).toEqual(basic("u", "p") as never);
    expect(entry({ auth: auth("u:p"), identitytoken: "t" })).toEqual({
      credential: { kind: "identity", token: "t" },
    });
    expect(entry({ auth: auth("<token>:t") })).toEqual({
      credential: { kind: "identity", token: "t" },
    });
    expect(entry({ registrytoken: "t" })).toEqual({ credential: { kind: "bearer", token: "t" } });
    expect(entry({})).toEqual({});
    expect(entry({ auth: "" })).toEqual({});
    expect(entry({ auth: auth("no colon") })).toEqual({});
  });

  test("names the helper of a host, else the store of all", () => {
    const file = {
      auths: { "a.example": {}, "c.example": { auth: auth("u:p") } },
      credHelpers: { "https://a.example": "gcloud" },
      credsStore: "desktop",
    };
    expect(find(file, "a.example")).toEqual({ helper: "gcloud" });
    expect(find(file, "b.example")).toEqual({ helper: "desktop" });
    expect(find(file, "c.example")).toEqual(basic("u", "p") as never);
  });

  test("takes null for an empty map, as Go's tools write it, and leaves other fields alone", () => {
    const file = { auths: null, credHelpers: null, HttpHeaders: { x: "y" }, detachKeys: "z" };
    expect(find(file, "a.example")).toEqual({});
  });

  test.each([
    "",
    "no",
    "[]",
    '{"auths": []}',
    '{"auths": {"a": {"auth": 1}}}',
    '{"credsStore": 1}',
  ])("refuses %p by the file's name", (text) => {
    expect(() => parseAuthFile(text, '"file"')).toThrow(Failure);
    expect(() => parseAuthFile(text, '"file"')).toThrow('credentials in "file"');
  });

  test("quotes nothing of a file that it can't read", () => {
    const text = '{"auths": {"a": {"auth": "secret", "username": 1}}';
    expect(() => parseAuthFile(text, '"file"')).not.toThrow("secret");
  });
});
