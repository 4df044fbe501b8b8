import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { join } from "node:path";
import type { ClientOptions } from "../../src/registry/client.ts";
import { startTestRegistry } from "../support/registry.ts";
import { temporaryDirectory } from "../support/temp.ts";
import { describeWith } from "../support/tools.ts";
import { blobOf, failureOf, imageOf, MANIFEST_TYPE, newClient } from "./fixtures.ts";
import {
  type GuardedRegistry,
  startGuardedDistribution,
  startTokenServer,
  type TokenServer,
} from "./token-server.ts";

const username = "me";
const password = "päss:word";
const identityToken = "an identity token";
const { bytes, descriptor } = blobOf("guarded content");

/** A client whose docker configuration file has `entry` for `host`. */
function clientWith(host: string, entry: Record<string, unknown>) {
  return newClient({
    env: {
      HOME: temporaryDirectory(),
      DOCKER_AUTH_CONFIG: JSON.stringify({ auths: { [host]: entry } }),
    },
  }).client;
}

function passwordFor(host: string): ClientOptions {
  return { username, password, credentialRegistry: host };
}

/** What holds for any registry that wants a password. */
function describePasswords(start: (htpasswd: string) => Promise<GuardedRegistry>): void {
  let registry: GuardedRegistry;
  const repository = () => ({ registry: registry.host, repository: "private/a" });
  beforeAll(async () => {
    const hash = await Bun.password.hash(password, { algorithm: "bcrypt", cost: 4 });
    registry = await start(`${username}:${hash.replace("$2b$", "$2y$")}\n`);
  });
  afterAll(async () => {
    await registry.stop();
  });

  test("accepts a user name and a password that were given", async () => {
    const { client } = newClient(passwordFor(registry.host));
    await client.pushBlob(repository(), descriptor, () => bytes);
    expect(await client.statBlob(repository(), descriptor.digest)).toBe(descriptor.size);
  });

  test("accepts those of a configuration file", async () => {
    const auth = Buffer.from(`${username}:${password}`).toString("base64");
    const client = clientWith(registry.host, { auth });
    await client.pushBlob(repository(), descriptor, () => bytes);
  });

  test("refuses a client without credentials, which is told what to do", async () => {
    const { client } = newClient();
    const failure = await failureOf(client.pushBlob(repository(), descriptor, () => bytes));
    expect(failure.kind).toBe("unauthorized");
    expect(failure.message).toContain(`there are no credentials for ${registry.host}`);
  });

  test("doesn't get credentials that are meant for another registry", async () => {
    const { client } = newClient(passwordFor("another.example"));
    const failure = await failureOf(client.statBlob(repository(), descriptor.digest));
    expect(failure.message).toContain("there are no credentials");
  });

  test("refuses a wrong password, which isn't shown", async () => {
    const { client, events } = newClient({
      ...passwordFor(registry.host),
      password: "not the secret",
    });
    const failure = await failureOf(client.statBlob(repository(), descriptor.digest));
    expect(failure.kind).toBe("unauthorized");
    expect(failure.message).toContain("doesn't accept the credentials");
    expect(failure.message).not.toContain("not the secret");
    expect(events).toEqual([]);
  });
}

describe("our own registry with passwords", () => {
  describePasswords(async (htpasswd) => {
    const path = join(temporaryDirectory(), "htpasswd");
    await Bun.write(path, htpasswd);
    return startTestRegistry({ htpasswd: path });
  });
});

describeWith("registry", "distribution with passwords", () => {
  describePasswords((htpasswd) => startGuardedDistribution({ htpasswd }));
});

describeWith("registry", "distribution with tokens", () => {
  let tokens: TokenServer;
  let registry: GuardedRegistry;
  const repository = (name: string) => ({ registry: registry.host, repository: name });
  beforeAll(async () => {
    tokens = startTokenServer({ username, password, identityToken, lifetime: 300 });
    registry = await startGuardedDistribution(tokens);
    const { client } = newClient(passwordFor(registry.host));
    await client.pushBlob(repository("public/a"), descriptor, () => bytes);
    await client.pushBlob(repository("private/a"), descriptor, () => bytes);
  });
  afterAll(async () => {
    await registry.stop();
  });

  test("lets anybody read what is public", async () => {
    const { client } = newClient();
    const size = await client.statBlob(repository("public/a"), descriptor.digest);
    expect(size).toBe(descriptor.size);
  });

  test("lets only the user read what is private, and write", async () => {
    const stranger = newClient().client;
    for (const action of [
      () => stranger.statBlob(repository("private/a"), descriptor.digest),
      () => stranger.pushBlob(repository("public/b"), descriptor, () => bytes),
    ]) {
      const failure = await failureOf(action());
      expect(failure.kind).toBe("unauthorized");
      expect(failure.message).toContain("there are no credentials");
    }
    const { client } = newClient(passwordFor(registry.host));
    const size = await client.statBlob(repository("private/a"), descriptor.digest);
    expect(size).toBe(descriptor.size);
  });

  test("mounts with a token for both repositories", async () => {
    const { client } = newClient(passwordFor(registry.host));
    const options = { mountFrom: "private/a" };
    const target = repository("private/mounted");
    expect(await client.pushBlob(target, descriptor, () => bytes, options)).toBe("mounted");
  });

  test("lists repositories with a token for the catalogue", async () => {
    const { client } = newClient(passwordFor(registry.host));
    const reference = { ...repository("private/a"), tag: "v1" };
    await client.putManifest(reference, imageOf(descriptor), MANIFEST_TYPE);
    expect(await Array.fromAsync(client.listRepositories(registry.host))).toContain("private/a");
  });

  test("gives its token to many requests at once after one question", async () => {
    const { client } = newClient(passwordFor(registry.host));
    const before = tokens.requests.length;
    const stat = () => client.statBlob(repository("private/a"), descriptor.digest);
    await Promise.all(Array.from({ length: 20 }, stat));
    await stat();
    expect(tokens.requests.length - before).toBe(1);
  });

  test("takes an identity token by POST", async () => {
    const client = clientWith(registry.host, { identitytoken: identityToken });
    const size = await client.statBlob(repository("private/a"), descriptor.digest);
    expect(size).toBe(descriptor.size);
    expect(Object.fromEntries(tokens.forms.at(-1) ?? [])).toEqual({
      grant_type: "refresh_token",
      service: "registry-under-test",
      client_id: "ocireg",
      scope: "repository:private/a:pull",
      refresh_token: identityToken,
    });
  });

  test("takes a registry token as it is", async () => {
    const url = `${tokens.realm}?service=registry-under-test&scope=repository:private/a:pull`;
    const headers = {
      authorization: `Basic ${Buffer.from(`${username}:${password}`).toString("base64")}`,
    };
    const { token } = (await (await fetch(url, { headers })).json()) as { token: string };
    const before = tokens.requests.length;
    const client = clientWith(registry.host, { registrytoken: token });
    const size = await client.statBlob(repository("private/a"), descriptor.digest);
    expect(size).toBe(descriptor.size);
    expect(tokens.requests.length).toBe(before);
  });

  test.each([
    ["password", { username, password: "the wrong secret" }],
    ["identity token", { identitytoken: "the wrong secret" }],
  ])("refuses a wrong %s, which isn't shown", async (_, entry) => {
    const client = clientWith(registry.host, entry);
    const failure = await failureOf(client.statBlob(repository("public/a"), descriptor.digest));
    expect(failure.kind).toBe("unauthorized");
    expect(failure.message).toContain("DOCKER_AUTH_CONFIG");
    expect(failure.message).not.toContain("secret");
  });
});
