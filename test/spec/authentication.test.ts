import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { digestOf } from "../../src/oci/digest.ts";
import { startTestRegistry, type TestRegistry } from "../support/registry.ts";
import { temporaryDirectory } from "../support/temp.ts";
import { expectError } from "./repository.ts";

let registry: TestRegistry;
beforeAll(async () => {
  const htpasswd = join(temporaryDirectory(), "htpasswd");
  const hash = await Bun.password.hash("secret", { algorithm: "bcrypt", cost: 4 });
  await writeFile(htpasswd, `user:${hash}\n`);
  registry = await startTestRegistry({ htpasswd });
});
afterAll(() => registry.stop());

const basic = (text: string) => `Basic ${Buffer.from(text).toString("base64")}`;

const endpoints: [string, string][] = [
  ["GET", "/v2/"],
  ["GET", "/v2/_catalog"],
  ["GET", "/v2/a/tags/list"],
  ["GET", "/v2/a/manifests/v1"],
  ["PUT", "/v2/a/manifests/v1"],
  ["DELETE", "/v2/a/manifests/v1"],
  ["GET", `/v2/a/blobs/${digestOf("")}`],
  ["DELETE", `/v2/a/blobs/${digestOf("")}`],
  ["POST", "/v2/a/blobs/uploads/"],
  ["PATCH", `/v2/a/blobs/uploads/${crypto.randomUUID()}`],
  ["GET", `/v2/a/referrers/${digestOf("")}`],
  ["GET", "/nowhere"],
  ["GET", "/v2/INVALID/tags/list"],
];

describe("Error Codes: UNAUTHORIZED", () => {
  test.each(endpoints)(
    "%s %s without credentials is 401 with a challenge",
    async (method, path) => {
      const response = await fetch(registry.url + path, { method });
      expect(response.headers.get("www-authenticate")).toStartWith("Basic realm=");
      await expectError(response, 401, "UNAUTHORIZED");
    },
  );

  test.each([
    ["a wrong password", basic("user:wrong")],
    ["a wrong user", basic("nobody:secret")],
    ["no password", basic("user:")],
    ["no colon", basic("user")],
    ["a password that goes on", basic("user:secret2")],
    ["a password of ten thousand characters", basic(`user:${"x".repeat(10_000)}`)],
    ["a token", "Bearer secret"],
    ["no base64", "Basic ???"],
    ["nothing after the scheme", "Basic"],
    ["nothing", ""],
  ])("%s is 401 with a challenge", async (_, authorization) => {
    const response = await fetch(`${registry.url}/v2/`, { headers: { authorization } });
    expect(response.headers.has("www-authenticate")).toBe(true);
    await expectError(response, 401, "UNAUTHORIZED");
  });

  test("the right credentials are let in, whatever the case of the scheme", async () => {
    for (const scheme of ["Basic", "basic", "BASIC"]) {
      const authorization = basic("user:secret").replace("Basic", scheme);
      const response = await fetch(`${registry.url}/v2/`, { headers: { authorization } });
      expect(response.status).toBe(200);
    }
  });

  test("a body that was sent without credentials isn't stored", async () => {
    const url = `${registry.url}/v2/a/blobs/uploads/?digest=${digestOf("x")}`;
    expect((await fetch(url, { method: "POST", body: "x" })).status).toBe(401);
    const response = await fetch(`${registry.url}/v2/a/blobs/${digestOf("x")}`, {
      headers: { authorization: basic("user:secret") },
    });
    expect(response.status).toBe(404);
  });
});
