import { describe, expect, test } from "bun:test";
import { Failure } from "../../../src/lib/failure.ts";
import { findAuthEntries, parseAuthFile } from "../../../src/registry/credentials/auth-file.ts";
import type { Credential } from "../../../src/registry/credentials/credential.ts";

const auth = (text: string) => Buffer.from(text).toString("base64");

function find(content: unknown, registry: string, repository?: string) {
  return findAuthEntries(parseAuthFile(JSON.stringify(content), '"file"'), registry, repository);
}

/** What comes first of all that a file has. */
function first(content: unknown, registry: string, repository?: string) {
  const { forNamespace, helper, forRegistry } = find(content, registry, repository);
  return forNamespace ?? helper ?? forRegistry;
}

function basic(username: string, password: string): Credential {
  return { kind: "basic", username, password };
}

describe("findAuthEntries", () => {
  test.each([
    "a.example",
    "https://a.example",
    "https://a.example/",
    "https://a.example/v2/",
    "A.example",
  ])("finds a.example under the key %s", (key) => {
    const file = { auths: { [key]: { auth: auth("u:p") } } };
    expect(first(file, "a.example")).toEqual(basic("u", "p"));
    expect(first(file, "b.example")).toBeUndefined();
  });

  test.each([
    "https://index.docker.io/v1/",
    "docker.io",
    "index.docker.io",
    "registry-1.docker.io",
  ])("finds Docker Hub under the key %s", (key) => {
    const file = { auths: { [key]: { auth: auth("u:p") } } };
    expect(first(file, "docker.io", "library/x")).toEqual(basic("u", "p"));
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
      const credential = first(file, "a.example", repository);
      return typeof credential === "object" && credential.kind === "basic" && credential.username;
    };
    expect(user("team/model")).toBe("model");
    expect(user("team/model/deep")).toBe("model");
    expect(user("team/other")).toBe("team");
    expect(user("teams/model")).toBe("host");
    expect(user()).toBe("host");
  });

  test("splits at the first colon and drops the padding that docker leaves", () => {
    const file = { auths: { "a.example": { auth: auth("u:p:q\0\0") } } };
    expect(first(file, "a.example")).toEqual(basic("u", "p:q"));
  });

  test("reads user name and password, identity and registry tokens", () => {
    const entry = (content: unknown) => first({ auths: { a: content } }, "a");
    expect(entry({ username: "u", password: "p" })).toEqual(basic("u", "p"));
    expect(entry({ auth: auth("u:p"), identitytoken: "t" })).toEqual({
      kind: "identity",
      token: "t",
    });
    expect(entry({ auth: auth("<token>:t") })).toEqual({ kind: "identity", token: "t" });
    expect(entry({ registrytoken: "t" })).toEqual({ kind: "bearer", token: "t" });
    expect(entry({})).toBeUndefined();
    expect(entry({ auth: "" })).toBeUndefined();
    expect(entry({ auth: auth("no colon") })).toBeUndefined();
  });

  test("names the helper of a host, else the store of all, before the password of the host", () => {
    const file = {
      auths: {
        "a.example": { auth: auth("u:p") },
        "a.example/team": { auth: auth("team:p") },
        "c.example": {},
        "d.example": { auth: auth("u:p") },
      },
      credHelpers: { "https://a.example": "gcloud", "d.example": "" },
      credsStore: "desktop",
    };
    expect(find(file, "a.example", "other/model")).toEqual({
      forNamespace: undefined,
      helper: "gcloud",
      forRegistry: basic("u", "p"),
    });
    expect(first(file, "a.example", "team/model")).toEqual(basic("team", "p"));
    expect(first(file, "b.example")).toBe("desktop");
    expect(first(file, "c.example")).toBe("desktop");
    expect(first(file, "d.example")).toEqual(basic("u", "p"));
  });

  test("takes null for an empty map, as Go's tools write it, and leaves other fields alone", () => {
    const file = { auths: null, credHelpers: null, HttpHeaders: { x: "y" }, detachKeys: "z" };
    expect(first(file, "a.example")).toBeUndefined();
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
